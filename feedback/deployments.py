"""Which model version is live for each task: the facts, and how the last one is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from feedback.schema import deployments
from feedback.store import Store


@dataclass(frozen=True)
class Deployment:
    """One version made live for a task."""

    id: int
    task: str
    version: str
    reason: str
    actor: str
    created_at: datetime


def record_deployment(store: Store, task: str, version: str, reason: str, actor: str) -> None:
    """Make `version` live for `task` from now on; every worker of every host notices by itself."""
    with store.write() as connection:
        connection.execute(
            deployments.insert().values(
                task=task, version=version, reason=reason, actor=actor, created_at=datetime.now(UTC)
            )
        )


def record_first_deployment(store: Store, task: str, version: str, reason: str, actor: str) -> bool:
    """Make `version` live unless the task has had a deployment already; tell whether it did."""
    with store.write() as connection:
        store.lock(connection, f"first deployment of {task}")
        exists = connection.execute(select(deployments.c.id).where(deployments.c.task == task).limit(1)).first()
        if exists is None:
            connection.execute(
                deployments.insert().values(
                    task=task, version=version, reason=reason, actor=actor, created_at=datetime.now(UTC)
                )
            )
        return exists is None


def live_deployments(store: Store) -> dict[str, Deployment]:
    """Return the live deployment of every task that has one."""
    latest = select(func.max(deployments.c.id)).group_by(deployments.c.task)
    with store.read() as connection:
        rows = connection.execute(select(deployments).where(deployments.c.id.in_(latest))).all()
    return {row.task: Deployment(**row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name
