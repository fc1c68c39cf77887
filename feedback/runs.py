"""Runs of the retraining job as they stand: how far they are, and what came of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, func, select

from core.errors import NotFoundError
from core.ids import is_id
from feedback.schema import runs
from feedback.store import Store

RunMode = Literal["full", "fast"]
RunState = Literal["queued", "snapshot", "learn", "gate", "promote", "shadow", "canary", "done"]
RunStatus = Literal[
    "queued",
    "running",
    "on_trial",
    "promoted",
    "passed",
    "rejected",
    "inconclusive",
    "unchanged",
    "failed",
    "cancelled",
]
STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
OPEN: tuple[RunStatus, ...] = ("queued", "running", "on_trial")
"""Statuses of runs that are not over."""

JUDGED: tuple[RunStatus, ...] = ("promoted", "passed", "rejected", "inconclusive", "cancelled")
"""Statuses of runs that are over and whose candidate a gate has judged, if there is a verdict."""

_CHUNK = 500


@dataclass(frozen=True)
class Run:
    """One execution of the retraining job; the columns of `runs`, whose docstring explains them."""

    id: str
    task: str
    mode: RunMode
    trigger: str
    asked_by: str
    promote: bool
    state: RunState
    status: RunStatus
    progress: float
    attempts: int
    champion: str | None
    version: str | None
    snapshot_sha256: str | None
    gate: dict[str, Any] | None
    figures: dict[str, Any] | None
    message: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.status in OPEN


@dataclass(frozen=True)
class Judged:
    """What the gate said of a version: its `verdict`, of which run, and against which champion."""

    run_id: str
    champion: str | None
    verdict: Mapping[str, Any]

    @property
    def decision(self) -> str:
        """`pass`, `fail` or `inconclusive`."""
        return str(self.verdict["decision"])


def find_run(store: Store, run_id: str) -> Run:
    """Return a run.

    Raises:
        NotFoundError: there is none of that id.
        UnavailableError: the store is away.
    """
    if not is_id(run_id):
        raise _unknown(run_id)
    with store.read() as connection:
        return read_run(connection, run_id)


def list_runs(
    store: Store, tasks: Collection[str] | None = None, *, limit: int = 20, before: str | None = None
) -> list[Run]:
    """Return up to `limit` runs, newest first, of `tasks` (None: all), whose ids come `before` one."""
    wanted = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if tasks is not None:
        wanted = wanted.where(runs.c.task.in_(sorted(tasks)))
    if before is not None:
        wanted = wanted.where(runs.c.id < before)
    with store.read() as connection:
        return [run_of(row) for row in connection.execute(wanted)]


def open_runs(store: Store, task: str | None = None) -> list[Run]:
    """Return the runs that wait, are worked on or are on trial, of `task` or of all, oldest first."""
    wanted = select(runs).where(runs.c.status.in_(OPEN)).order_by(runs.c.id)
    if task is not None:
        wanted = wanted.where(runs.c.task == task)
    with store.read() as connection:
        return [run_of(row) for row in connection.execute(wanted)]


def runs_to_work_on(store: Store) -> list[Run]:
    """Return the runs that were interrupted, then those that wait, oldest first; none of tasks with one on trial."""
    found = open_runs(store)
    on_trial = {run.task for run in found if run.status == "on_trial"}
    return sorted((run for run in found if run.task not in on_trial), key=lambda run: run.status == "queued")


def find_runs(store: Store, ids: Sequence[str]) -> list[Run]:
    """Return those of the runs `ids` that the store knows, oldest first."""
    found: list[Run] = []
    with store.read() as connection:
        for start in range(0, len(ids), _CHUNK):
            wanted = select(runs).where(runs.c.id.in_(ids[start : start + _CHUNK]))
            found += [run_of(row) for row in connection.execute(wanted)]
    return sorted(found, key=lambda run: run.id)


def find_judged(store: Store, task: str, snapshot_sha256: str, modes: Collection[RunMode]) -> Run | None:
    """Return the newest run of `task`, in one of `modes`, whose candidate learnt from a snapshot and was judged."""
    judged = (runs.c.task == task) & (runs.c.snapshot_sha256 == snapshot_sha256) & runs.c.status.in_(JUDGED)
    judged &= runs.c.gate.is_not(None)
    wanted = select(runs).where(judged & runs.c.mode.in_(sorted(modes))).order_by(runs.c.id.desc()).limit(1)
    with store.read() as connection:
        row = connection.execute(wanted).first()
    return run_of(row) if row else None


def last_runs(store: Store) -> dict[str, Run]:
    """Return the newest run of each task that is over."""
    newest = select(func.max(runs.c.id)).where(runs.c.status.not_in(OPEN)).group_by(runs.c.task)
    with store.read() as connection:
        return {row.task: run_of(row) for row in connection.execute(select(runs).where(runs.c.id.in_(newest)))}


def count_runs(store: Store) -> dict[tuple[str, str], int]:
    """Return the number of runs by task and status."""
    grouped = select(runs.c.task, runs.c.status, func.count()).group_by(runs.c.task, runs.c.status)
    with store.read() as connection:
        return {(task, status): n for task, status, n in connection.execute(grouped)}


def gate_of(store: Store, task: str) -> dict[str, Judged]:
    """Return what the gate said last of each version of `task` that it has judged."""
    with store.read() as connection:
        return read_gates(connection, task)


def read_gates(connection: Connection, task: str, version: str | None = None) -> dict[str, Judged]:
    """Return what `gate_of` does, on a connection that is open already; of one version if it is given."""
    judged = (runs.c.task == task) & runs.c.version.is_not(None) & runs.c.gate.is_not(None)
    if version is not None:
        judged &= runs.c.version == version
    rows = connection.execute(select(runs).where(judged).order_by(runs.c.id))
    return {row.version: Judged(row.id, row.champion, row.gate) for row in rows}


def read_run(connection: Connection, run_id: str) -> Run:
    """Return a run, on a connection that is open already.

    Raises:
        NotFoundError: there is none of that id.
    """
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise _unknown(run_id)
    return run_of(row)


def run_of(row: Row[Any]) -> Run:
    """Return the run that a row of `runs` tells of."""
    return Run(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _unknown(run_id: str) -> NotFoundError:
    return NotFoundError(f"no run {run_id[:60]!r}; `regrade runs list` shows those there are")
