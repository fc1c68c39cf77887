"""One look at the live version of a task: what the store knows of it, made into what is kept of its watch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.errors import RegradeError
from core.settings import Settings
from feedback.deployments import Deployment, read_deployments, ways_back
from feedback.observations import Observed, read_observed
from feedback.sampling import Estimate, accuracy_of_all
from feedback.store import Store
from feedback.watches import Watched, find_kept
from tasks.declaration import Task
from training.drift import LIMIT, began
from training.traffic_shift import look_at_texts, look_at_traffic
from training.watch import compare, why_worse

logger = logging.getLogger("regrade.watch")

WINDOW = timedelta(days=30)
"""How far back is looked at: as far as predictions are kept by default."""

DRIFT_EVERY = timedelta(minutes=10)
TEXTS_EVERY = timedelta(hours=1)

_TAKEN_BACK = frozenset({"gate", "person"})
"""How a version must have come to be live for the watch to take it back: with a passed gate."""

_LEAST_REVIEWED = 30


@dataclass(frozen=True)
class Look:
    """What a look found: the `live` deployment, what was kept `before` and at which `step`, and what is `now`."""

    live: Deployment
    before: Watched
    now: Watched
    step: int


def observe(settings: Settings, store: Store, task: Task) -> Look | None:
    """Look at how the live version of `task` does; None where it has none.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        moment = store.now(connection)
        history = read_deployments(connection, task.name)
        kept = find_kept(connection, task.name)
    if not history:
        return None
    known = kept.watched if kept is not None and kept.watched.deployment == history[0].id else None
    before = held_against(known or Watched(history[0].id, history[0].version), history, task)
    since = max(history[0].created_at, moment - WINDOW)
    live = read_observed(store, task, before.version, since)
    now = replace(before, accuracy=accuracy_of_all(live.drawn))
    now = replace(now, fell_at=_fell_at(now.accuracy, task.retrain.audit_below, before.fell_at, moment))
    if now.before is not None and now.worse is None and now.until is not None and moment < now.until:
        now = _compared(store, task, history[0], now, live)
    if now.shifts_at is None or moment - now.shifts_at >= DRIFT_EVERY:
        now = _drifted(settings, store, task, (history[0], now), moment)
    return Look(history[0], before, now, kept.step if kept else 0)


def held_against(watched: Watched, newest_first: Sequence[Deployment], task: Task) -> Watched:
    """Return `watched` with the version before, until when it is held against that, and whether it may be taken back.

    What a person forced or went back to is looked at as well, but a person is told instead of being overruled.
    """
    live = newest_first[0]
    before = newest_first[1].version if len(newest_first) > 1 else live.version
    if before == live.version or task.watch.hours == 0:
        return replace(watched, before=None, returns=False, until=None)
    returns = live.how in _TAKEN_BACK and ways_back(newest_first)[:1] == [before]
    return replace(watched, before=before, returns=returns, until=live.created_at + timedelta(hours=task.watch.hours))


def _compared(store: Store, task: Task, deployment: Deployment, now: Watched, live: Observed) -> Watched:
    then = read_observed(store, task, str(now.before), deployment.created_at - WINDOW)
    found = compare(live, then, task.watch, now.comparisons)
    return replace(now, comparisons=found, worse=why_worse(now.version, str(now.before), found))


def _fell_at(
    accuracy: Estimate | None, least: float | None, since: datetime | None, moment: datetime
) -> datetime | None:
    """Return since when the accuracy is under `least` without doubt; once it is, until its estimate is not."""
    if accuracy is None or least is None or accuracy.n_reviewed < _LEAST_REVIEWED:
        return None
    fell = accuracy.high < least if since is None else accuracy.estimate < least
    return (since or moment) if fell else None


def _drifted(
    settings: Settings, store: Store, task: Task, about: tuple[Deployment, Watched], moment: datetime
) -> Watched:
    deployment, now = about
    limit = task.retrain.drift_above or LIMIT
    now = look_at_traffic(settings, store, task, deployment, now, limit, moment)
    if now.reference is not None and (now.texts_at is None or moment - now.texts_at >= TEXTS_EVERY):
        try:
            now = look_at_texts(settings, store, task, now, moment)
        except RegradeError as error:  # such as a version that is on another host only
            logger.warning("texts of %s cannot be compared: %s", task.name, error)
    since = now.drifted_at
    drifted_at = (since or moment) if began(since, now.shifts) else None
    return replace(now, shifts_at=moment, drifted_at=drifted_at)
