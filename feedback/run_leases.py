"""The right to work on the runs of a task: one process at a time, over all hosts of a database.

The lease is a duty. It outlives its holder by `LEASE_S` at most, and whoever takes it then goes on with the run.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from core.errors import LeaseLostError
from feedback.duties import Duty, find_duty, finish, take
from feedback.schema import duties
from feedback.store import Store

LEASE_S = 30.0
"""Seconds after the last sign of life for which nobody else works on the task."""


def lease_name(task: str) -> str:
    """Return the name of a task's duty."""
    return f"retrain {task}"


def take_lease(store: Store, task: str, holder: str) -> bool:
    """Take or renew the lease of `task`; tell whether `holder` has it now.

    Raises:
        UnavailableError: the store is away.
    """
    return take(store, lease_name(task), holder, LEASE_S)


def free_lease(store: Store, task: str, holder: str) -> None:
    """Let others work on `task`, if `holder` has the lease still."""
    finish(store, lease_name(task), holder)


def find_holder(store: Store, task: str) -> Duty | None:
    """Return who works on the runs of `task` now; None: nobody."""
    duty, now = find_duty(store, lease_name(task))
    return duty if duty is not None and duty.until > now else None


def check_lease(store: Store, connection: Connection, task: str, holder: str) -> None:
    """Check that `holder` has the lease, which nobody else takes before this write transaction ends.

    Raises:
        LeaseLostError: it expired, or somebody else has it.
    """
    wanted = select(duties).where(duties.c.name == lease_name(task)).with_for_update()
    row = connection.execute(wanted).first()
    if row is None or row.holder != holder or row.until <= store.now(connection):
        raise LeaseLostError(
            f"the lease on runs of {task} was lost: nothing was heard of this process for {LEASE_S:.0f} s, and another "
            "one may work on them now; it goes on with the run"
        )
