"""Trials of candidates on live traffic: the facts, and how they are read.

A run whose candidate passed the gate may have it tried before it goes live, beside the champion: unseen (`shadow`), and
then on a share of the requests (`canary`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from feedback.run_queue import tell_of_end
from feedback.runs import RunStatus, read_run
from feedback.schema import runs, trials
from feedback.store import Store

TrialKind = Literal["shadow", "canary"]
TrialStatus = Literal["open", "passed", "failed", "ended"]


@dataclass(frozen=True)
class Trial:
    """One trial of a candidate; the columns of `trials`, whose docstring explains them."""

    id: str
    task: str
    run_id: str
    kind: TrialKind
    version: str
    champion: str
    share: float
    step: int
    status: TrialStatus
    message: str
    since: datetime
    created_at: datetime
    finished_at: datetime | None


def open_trials(store: Store) -> list[Trial]:
    """Return the trials that go on, of all tasks.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        return [_trial_of(row) for row in connection.execute(select(trials).where(trials.c.status == "open"))]


def read_open_trial(connection: Connection, task: str) -> Trial | None:
    """Return the trial of `task` that goes on, on a connection that is open already; None: there is none."""
    row = connection.execute(select(trials).where(trials.c.task == task, trials.c.status == "open")).first()
    return _trial_of(row) if row else None


def trials_of(store: Store, run_ids: Collection[str]) -> dict[str, list[Trial]]:
    """Return the trials of runs by run, oldest first; runs without one are missing.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(trials).where(trials.c.run_id.in_(sorted(run_ids))).order_by(trials.c.id)
    found: dict[str, list[Trial]] = {}
    with store.read() as connection:
        for row in connection.execute(wanted):
            found.setdefault(row.run_id, []).append(_trial_of(row))
    return found


def close_trial(
    connection: Connection, trial: Trial, status: TrialStatus, run_status: RunStatus, message: str, now: datetime
) -> None:
    """End a trial, and its run with it, in a transaction that has called `lock_deployments`; `message` says why."""
    before = read_run(connection, trial.run_id)
    end_trial(connection, trial, status, message, now)
    ended = {"state": "done", "status": run_status, "progress": 1.0, "message": message}
    connection.execute(update(runs).where(runs.c.id == trial.run_id).values(**ended, updated_at=now, finished_at=now))
    tell_of_end(connection, before, read_run(connection, trial.run_id))


def end_trial(connection: Connection, trial: Trial, status: TrialStatus, message: str, now: datetime) -> None:
    """End a trial; what becomes of its run is for the caller to say."""
    ended = {"status": status, "message": message, "finished_at": now}
    connection.execute(update(trials).where(trials.c.id == trial.id).values(ended))


def end_by_deployment(connection: Connection, task: str, version: str, now: datetime) -> None:
    """End the trial of `task`, if there is one: `version` becomes live in this transaction, whatever the trial says."""
    trial = read_open_trial(connection, task)
    if trial is None:
        return
    if trial.version == version:
        message = f"{version} was made live before its {trial.kind} was over"
        close_trial(connection, trial, "ended", "promoted", message, now)
    elif trial.champion != version:
        message = f"the {trial.kind} of {trial.version} beside {trial.champion} ended, as {version} became live"
        close_trial(connection, trial, "ended", "cancelled", message, now)


def _trial_of(row: Row[Any]) -> Trial:
    return Trial(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
