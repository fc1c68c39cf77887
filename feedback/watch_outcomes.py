"""What follows from a look at a live version, in one transaction: it is kept, and told, and a bad one taken back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from core.roles import REGRADE
from feedback.audit import note
from feedback.deployments import Deployment, live_deployment, lock_deployments
from feedback.outbox import Event, emit
from feedback.promotion import Change, go_live
from feedback.store import Store
from feedback.watches import Watched, keep_watch


def settle(store: Store, live: Deployment, before: Watched, now: Watched, step: int) -> Change | None:
    """Keep what a look has found `now`, after what was known `before` at `step`, and do what follows from it.

    Where the version has turned out worse it is taken back, if `now.returns`; a person is told in any case, and of
    drift and of a fallen accuracy when they begin. Nothing is done where another process was quicker, or another
    version is live by now.

    Returns:
        What has become live, None where nothing has.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, live.task)
        current = live_deployment(connection, live.task)
        if current is None or current.id != live.id or not keep_watch(store, connection, live.task, now, step):
            return None
        _tell_of_traffic(connection, live.task, before, now)
        if now.worse is None or before.worse is not None:
            return None
        about = (live.task, str(now.before), now.worse)
        change = go_live(store, connection, REGRADE, about, "watch") if now.returns else None
        _tell(connection, live.task, "watch.rolled_back" if change else "watch.worse", **_compared(now))
    return change


def _tell_of_traffic(connection: Connection, task: str, before: Watched, now: Watched) -> None:
    if now.drifted_at is not None and before.drifted_at is None:
        shifts = {shift.aspect: shift.value for shift in now.shifts}
        _tell(connection, task, "traffic.shifted", version=now.version, **shifts)
    if now.fell_at is not None and before.fell_at is None and now.accuracy is not None:
        found = now.accuracy
        about = {"accuracy": found.estimate, "low": found.low, "high": found.high, "reviewed": found.n_reviewed}
        _tell(connection, task, "accuracy.low", version=now.version, **about)


def _compared(now: Watched) -> dict[str, Any]:
    """Return what says that a version is worse: each measure, and that of the version before."""
    told: dict[str, Any] = {"version": now.version, "before": now.before}
    for one in now.comparisons:
        if one.is_worse:
            told |= {one.measure: one.now, f"{one.measure}_before": one.before, f"{one.measure}_n": one.n}
    return told


def _tell(connection: Connection, task: str, alert: str, **figures: Any) -> None:
    emit(connection, [Event("alert.raised", task, {"alert": alert, **figures})])
    note(connection, REGRADE, alert, task, **figures)
