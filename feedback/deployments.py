"""Which model version is live for each task: the facts, and how they are read.

A deployment's event and the row are written together, so that nobody hears of one that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from sqlalchemy import Connection, func, select

from feedback.outbox import Event, emit
from feedback.schema import deployments
from feedback.store import Store
from feedback.trials import end_by_deployment

How = Literal["first", "trained", "gate", "person", "forced", "rollback", "watch"]
"""How a version came to be live: a task's first; by `train --deploy`; by a run whose gate it passed; by a person, with
a passed gate or without one; back again, by a person or because the watch took the one after it back."""


@dataclass(frozen=True)
class Deployment:
    """One version made live for a task; `how` is None where an earlier release wrote it."""

    id: int
    task: str
    version: str
    reason: str
    actor: str
    created_at: datetime
    how: How | None = None


def record_deployment(store: Store, task: str, version: str, reason: str, actor: str) -> None:
    """Make `version` live for `task` from now on, whatever a gate says; every worker of every host notices."""
    with store.write() as connection:
        lock_deployments(store, connection, task)
        add_deployment(connection, Deployment(0, task, version, reason, actor, datetime.now(UTC)), "trained")


def record_first_deployment(store: Store, task: str, version: str, reason: str, actor: str) -> bool:
    """Make `version` live unless the task has had a deployment already; tell whether it did."""
    with store.write() as connection:
        lock_deployments(store, connection, task)
        if live_deployment(connection, task) is not None:
            return False
        add_deployment(connection, Deployment(0, task, version, reason, actor, datetime.now(UTC)), "first")
        return True


def lock_deployments(store: Store, connection: Connection, task: str) -> None:
    """Let nobody else change what is live for `task` before this write transaction ends."""
    store.lock(connection, f"deployments of {task}")


def add_deployment(connection: Connection, new: Deployment, how: How, run_id: str | None = None) -> Deployment:
    """Write a deployment, whose id the store gives, and its `model.promoted`; return it as it was written.

    In a transaction that has called `lock_deployments`.
    """
    before = live_deployment(connection, new.task)
    end_by_deployment(connection, new.task, new.version, new.created_at)
    row = {"task": new.task, "version": new.version, "reason": new.reason, "actor": new.actor}
    done = connection.execute(deployments.insert().values(**row, created_at=new.created_at, how=how))
    told = {"version": new.version, "previous": before.version if before else None, "how": how, "run_id": run_id}
    emit(connection, [Event("model.promoted", new.task, told)])
    key = done.inserted_primary_key
    return Deployment(key[0] if key else 0, **row, created_at=new.created_at, how=how)


def live_deployment(connection: Connection, task: str) -> Deployment | None:
    """Return the live deployment of `task`, None where it never had one."""
    found = read_deployments(connection, task, limit=1)
    return found[0] if found else None


def read_deployments(connection: Connection, task: str, limit: int | None = None) -> list[Deployment]:
    """Return the deployments of `task`, newest first."""
    wanted = select(deployments).where(deployments.c.task == task).order_by(deployments.c.id.desc()).limit(limit)
    return [Deployment(**row._mapping) for row in connection.execute(wanted)]  # noqa: SLF001 - SQLAlchemy's public name


def list_deployments(store: Store, task: str) -> list[Deployment]:
    """Return the deployments of `task`, newest first.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        return read_deployments(connection, task)


def live_deployments(store: Store) -> dict[str, Deployment]:
    """Return the live deployment of every task that has one."""
    latest = select(func.max(deployments.c.id)).group_by(deployments.c.task)
    with store.read() as connection:
        rows = connection.execute(select(deployments).where(deployments.c.id.in_(latest))).all()
    return {row.task: Deployment(**row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name


def taken_back(newest_first: Sequence[Deployment]) -> dict[str, Deployment]:
    """Return by version the deployment that took it back, for each that the watch has taken back."""
    found: dict[str, Deployment] = {}
    for after, before in pairwise(newest_first):
        if after.how == "watch":
            found.setdefault(before.version, after)
    return found


def count_taken_back(store: Store) -> dict[str, int]:
    """Return how many versions of each task the watch has taken back, of tasks where it has any.

    Raises:
        UnavailableError: the store is away.
    """
    counted = select(deployments.c.task, func.count()).where(deployments.c.how == "watch").group_by(deployments.c.task)
    with store.read() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def ways_back(newest_first: Sequence[Deployment]) -> list[str]:
    """Return the versions to which a task can be rolled back, the one before the live one first.

    Deployments are a stack: one of a version that is in it already takes off what lies above, so that two rollbacks in
    a row go two versions back, and not forth again.
    """
    stack: list[str] = []
    for one in reversed(newest_first):
        if one.version in stack:
            del stack[stack.index(one.version) + 1 :]
        else:
            stack.append(one.version)
    return stack[-2::-1]
