"""The queue of the retraining job: runs are asked for by people and triggers, and worked on by one process at a time.

Who writes to a run that is worked on holds its task's lease, and every such write checks that it still does, so that a
process that was given up for dead changes nothing any more.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, or_, select, update

from core.errors import LeaseLostError
from core.ids import new_id
from core.roles import REGRADE, Caller
from feedback.audit import note
from feedback.outbox import Event, emit
from feedback.run_leases import check_lease
from feedback.runs import Run, RunMode, RunState, RunStatus, read_run, run_of
from feedback.schema import runs
from feedback.store import Store

_LOUD: tuple[RunStatus, ...] = ("failed", "rejected")
"""How a run ends that somebody is told of."""


def ask_for_run(store: Store, caller: Caller, task: str, mode: RunMode, trigger: str, *, promote: bool = True) -> Run:
    """Ask for a run of `task`; one like it that waits already is returned instead of a second.

    Args:
        store: the store.
        caller: who asks.
        task: the task.
        mode: `full` or `fast`.
        trigger: why, in a word or a few: `request`, `command`, `new items`, `cron`.
        promote: whether a candidate that passes the gate goes live by itself.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_runs(store, connection, task)
        waiting = (runs.c.task == task) & (runs.c.mode == mode) & (runs.c.status == "queued")
        waiting &= runs.c.promote.is_(promote)
        row = connection.execute(select(runs).where(waiting).order_by(runs.c.id).limit(1)).first()
        return run_of(row) if row else add_run(store, connection, caller, task, mode, trigger, promote=promote)


def lock_runs(store: Store, connection: Connection, task: str) -> None:
    """Let nobody else ask for or begin a run of `task` before this write transaction ends."""
    store.lock(connection, f"runs of {task}")


def add_run(
    store: Store,
    connection: Connection,
    caller: Caller,
    task: str,
    mode: RunMode,
    trigger: str,
    *,
    promote: bool,
) -> Run:
    """Put a run into the queue, in a transaction that has called `lock_runs`."""
    now = store.now(connection)
    waiting = {"state": "queued", "status": "queued", "progress": 0.0, "attempts": 0, "message": ""}
    asked = {"task": task, "mode": mode, "trigger": trigger[:40], "asked_by": caller.person, "promote": promote}
    identifier = new_id()
    connection.execute(runs.insert().values(id=identifier, **asked, **waiting, created_at=now, updated_at=now))
    note(connection, caller, "runs.ask", identifier, task=task, mode=mode, trigger=trigger[:40])
    return read_run(connection, identifier)


def take_run(store: Store, task: str, holder: str, run_id: str | None = None) -> Run | None:
    """Return the run of `task` to work on now, which is `running` from then on; None where there is nothing to do.

    Nothing is begun while a candidate of the task is on trial. One that was interrupted comes first, then the one of
    `run_id`, or, where that is None, the oldest that waits. `holder` has the task's lease.

    Raises:
        LeaseLostError: `holder` has not got the lease.
        UnavailableError: the store is away.
    """
    waiting = runs.c.status == "queued"
    if run_id is not None:
        waiting &= runs.c.id == run_id
    wanted = (runs.c.task == task) & or_(runs.c.status == "running", waiting)
    with store.write() as connection:
        check_lease(store, connection, task, holder)
        on_trial = select(runs.c.id).where(runs.c.task == task, runs.c.status == "on_trial").limit(1)
        first = select(runs).where(wanted).order_by(runs.c.status.desc(), runs.c.id).limit(1)  # running, then queued
        row = connection.execute(first).first()
        if row is None or connection.execute(on_trial).first() is not None:
            return None
        now = store.now(connection)
        begun = {"status": "running", "attempts": row.attempts + 1, "updated_at": now, "progress": 0.0}
        if row.state == "queued":
            begun |= {"state": "snapshot", "started_at": now}
        connection.execute(update(runs).where(runs.c.id == row.id).values(begun))
        return read_run(connection, row.id)


def move_run(store: Store, run: Run, holder: str, state: RunState, **found: Any) -> Run:
    """Note that a run goes on to the step `state`, with what the step before has `found` (columns of `runs`).

    Raises:
        LeaseLostError: `holder` has not got the lease any more.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        check_run(store, connection, run, holder)
        change_run(store, connection, run, state=state, progress=0.0, message="", **found)
        return read_run(connection, run.id)


def note_progress(store: Store, run_id: str, progress: float, message: str) -> None:
    """Note how far the step of a run is, 0 to 1, and what it does; nothing where it is over."""
    with store.write() as connection:
        mine = (runs.c.id == run_id) & (runs.c.status == "running")
        now = store.now(connection)
        connection.execute(update(runs).where(mine).values(progress=progress, message=message, updated_at=now))


def end_run(store: Store, run: Run, holder: str, status: RunStatus, message: str, **found: Any) -> Run:
    """Note that a run is over; where it failed or its candidate was refused, somebody is told.

    `message` is a sentence for people, without a text.

    Raises:
        LeaseLostError: `holder` has not got the lease any more.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        check_run(store, connection, run, holder)
        ended = {"state": "done", "status": status, "progress": 1.0, "message": message}
        change_run(store, connection, run, **ended, **found, finished_at=store.now(connection))
        after = read_run(connection, run.id)
        tell_of_end(connection, run, after)
        return after


def tell_of_end(connection: Connection, before: Run, after: Run) -> None:
    """Tell somebody of a run that is over `after` this transaction, if it failed or its candidate was refused."""
    if after.status in _LOUD:
        told = {"run_id": after.id, "mode": after.mode, "step": before.state, "version": after.version}
        emit(connection, [Event("alert.raised", after.task, {"alert": f"run.{after.status}", **told})])
        note(connection, REGRADE, f"run.{after.status}", after.id, task=after.task, version=after.version)


def check_run(store: Store, connection: Connection, run: Run, holder: str) -> None:
    """Check that `run` is `holder`'s to write, and stays so before this write transaction ends.

    The number of attempts tells those apart who had the lease one after the other.

    Raises:
        LeaseLostError: it is not: another process has gone on with it, or somebody has ended it.
    """
    check_lease(store, connection, run.task, holder)
    now = read_run(connection, run.id)
    if now.status != "running" or now.attempts != run.attempts:
        raise LeaseLostError(f"run {run.id} was gone on with by another process, and is {now.status}; leave it to that")


def change_run(store: Store, connection: Connection, run: Run, **values: Any) -> None:
    """Write `values` into a run's row."""
    now = store.now(connection)
    connection.execute(update(runs).where(runs.c.id == run.id).values(updated_at=now, **values))
