"""What people have reviewed since models last learnt: what triggers of the retraining job look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from feedback.conditions import HOLDS
from feedback.deployments import live_deployment
from feedback.runs import OPEN
from feedback.schema import deployments, items, resolutions, runs
from feedback.store import Store
from feedback.watches import read_watch

DRIFT = "drift"
LOW_ACCURACY = "low accuracy"
"""Triggers of runs that the watch of the live version gives rise to."""


@dataclass(frozen=True)
class Known:
    """What is known of a task when its triggers are looked at.

    Attributes:
        now: the moment, by the database's clock.
        at_work: whether a run waits or is worked on.
        live_since: when the live version was made live; None: there is none.
        ended_at: when the last run ended, whatever came of it, or a version was taken back; None: never.
        cron_at: when the last run was asked for that a cron expression asked for.
        new: items reviewed since the last run began to look at them.
        new_since_full: the same since the last full run.
        oldest_new: when the oldest of the `new` ones was reviewed.
        drifted_at: since when the live version's traffic is another than its first was; None: it is not.
        drift_at: when the last run was asked for because of that.
        fell_at: since when the accuracy on its traffic is too low without doubt; None: it is not.
        fall_at: when the last run was asked for because of that.
    """

    now: datetime
    at_work: bool
    live_since: datetime | None
    ended_at: datetime | None
    cron_at: datetime | None
    new: int
    new_since_full: int
    oldest_new: datetime | None
    drifted_at: datetime | None = None
    drift_at: datetime | None = None
    fell_at: datetime | None = None
    fall_at: datetime | None = None


def read_known(store: Store, connection: Connection, task: str) -> Known:
    """Return what is known of `task`, on a connection that is open already."""
    mine = runs.c.task == task
    live = live_deployment(connection, task)
    began = _latest(connection, func.max(runs.c.started_at), mine)
    full = _latest(connection, func.max(runs.c.started_at), mine & (runs.c.mode == "full"))
    new, oldest = _reviewed(connection, task, began)
    kept = read_watch(connection, task)
    ended = _latest(connection, func.max(runs.c.finished_at), mine)
    back = _latest(connection, func.max(deployments.c.created_at), _taken_back(task))
    return Known(
        now=store.now(connection),
        at_work=connection.execute(select(runs.c.id).where(mine & runs.c.status.in_(OPEN)).limit(1)).first()
        is not None,
        live_since=live.created_at if live else None,
        ended_at=max((moment for moment in (ended, back) if moment is not None), default=None),
        cron_at=_asked_at(connection, mine, "cron"),
        new=new,
        new_since_full=new if full == began else _reviewed(connection, task, full)[0],
        oldest_new=oldest,
        drifted_at=kept.watched.drifted_at if kept else None,
        drift_at=_asked_at(connection, mine, DRIFT),
        fell_at=kept.watched.fell_at if kept else None,
        fall_at=_asked_at(connection, mine, LOW_ACCURACY),
    )


def _taken_back(task: str) -> ColumnElement[bool]:
    return (deployments.c.task == task) & (deployments.c.how == "watch")


def _asked_at(connection: Connection, mine: ColumnElement[bool], trigger: str) -> datetime | None:
    return _latest(connection, func.max(runs.c.created_at), mine & (runs.c.trigger == trigger))


def _latest(connection: Connection, column: ColumnElement[datetime], condition: ColumnElement[bool]) -> datetime | None:
    moment: datetime | None = connection.execute(select(column).where(condition)).scalar_one()
    return moment


def _reviewed(connection: Connection, task: str, since: datetime | None) -> tuple[int, datetime | None]:
    """Count the resolutions of `task` in force since a moment; audits are left out, since they never train."""
    counted = (
        select(func.count(), func.min(resolutions.c.created_at))
        .join_from(resolutions, items, HOLDS)
        .where(resolutions.c.task == task, items.c.reason != "audit")
    )
    if since is not None:
        counted = counted.where(resolutions.c.created_at > since)
    n, oldest = connection.execute(counted).one()
    return n, oldest
