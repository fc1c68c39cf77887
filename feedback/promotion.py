"""Making a version live and going back: each with its event, its audit note and its reason, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from core.errors import ConflictError
from core.roles import REGRADE, Caller
from feedback.audit import note
from feedback.deployments import (
    Deployment,
    How,
    add_deployment,
    live_deployment,
    lock_deployments,
    read_deployments,
    taken_back,
    ways_back,
)
from feedback.run_queue import change_run, check_run
from feedback.runs import Run, read_gates, read_run
from feedback.store import Store

Exists = Callable[[str, str], object]
"""Checks that a version of a task is in the model store; raises `NotFoundError` where it is not."""


@dataclass(frozen=True)
class Change:
    """What is live for a task now, and the version before, if there was one.

    Nothing `changed` where what was asked for was live already.
    """

    deployment: Deployment
    previous: str | None
    changed: bool = True


def promote(
    store: Store, caller: Caller, task: str, version: str, exists: Exists, *, reason: str = "", force: bool = False
) -> Change:
    """Make `version` live, which must have passed the gate against what is live now, unless it is `force`d.

    Raises:
        NotFoundError: the version is not in the model store.
        ConflictError: it has not passed the gate, or against another champion.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, task)
        exists(task, version)
        live = live_deployment(connection, task)
        if live is not None and live.version == version:
            return Change(live, None, changed=False)
        fault = _gate_fault(connection, task, version, live)
        if fault is not None and not force:
            raise ConflictError(fault)
        about = (task, version, reason or "it passed the gate")
        return go_live(store, connection, caller, about, "forced" if fault else "person")


def rollback(
    store: Store, caller: Caller, task: str, exists: Exists, *, to: str | None = None, reason: str = ""
) -> Change:
    """Make the version before the live one live again, or the one named `to`, which was live before.

    Raises:
        NotFoundError: that version is not in the model store any more.
        ConflictError: there is none to go back to, or `to` was never live.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, task)
        history = read_deployments(connection, task)
        if to is not None and history and history[0].version == to:
            return Change(history[0], None, changed=False)
        target = _way_back(history, task, to)
        exists(task, target)
        return go_live(store, connection, caller, (task, target, reason or "rolled back"), "rollback")


def promote_run(store: Store, run: Run, holder: str, exists: Exists, message: str) -> Run | None:
    """Make the candidate of `run`, which passed the gate, live, and end the run.

    None, and nothing changed, where another version is live by now than the one it was compared with.

    Raises:
        LeaseLostError: `holder` has not got the lease of the task any more.
        NotFoundError: the candidate is not in the model store.
        UnavailableError: the store is away.
    """
    version = str(run.version)
    with store.write() as connection:
        lock_deployments(store, connection, run.task)
        check_run(store, connection, run, holder)
        exists(run.task, version)
        live = live_deployment(connection, run.task)
        if live is None or live.version != run.champion:
            return None
        about = (run.task, version, f"passed the gate of run {run.id}")
        go_live(store, connection, REGRADE, about, "gate", run.id)
        ended = {"state": "done", "status": "promoted", "progress": 1.0, "message": message}
        change_run(store, connection, run, **ended, finished_at=store.now(connection))
        return read_run(connection, run.id)


def go_live(
    store: Store,
    connection: Connection,
    caller: Caller,
    about: tuple[str, str, str],
    how: How,
    run_id: str | None = None,
) -> Change:
    """Make a version live and note it, in a transaction that has called `lock_deployments`.

    `about` is the task, the version and the reason.
    """
    task, version, reason = about
    before = live_deployment(connection, task)
    wanted = Deployment(0, task, version, reason, caller.person, store.now(connection))
    made = add_deployment(connection, wanted, how, run_id)
    previous = before.version if before else None
    action = "models.rollback" if how in {"rollback", "watch"} else "models.promote"
    details = {"version": version, "previous": previous, "how": how, "deployment": made.id, "run_id": run_id}
    note(connection, caller, action, task, **details)
    return Change(made, previous)


def _gate_fault(connection: Connection, task: str, version: str, live: Deployment | None) -> str | None:
    """Return why a version may not go live without force, or None."""
    judged = read_gates(connection, task, version).get(version)
    remedy = "retrain, or force it with a reason"
    if judged is None:
        return f"version {version} of {task} was never judged by the gate; {remedy}"
    if judged.decision != "pass":
        return f"version {version} of {task} did not pass the gate ({judged.decision}, run {judged.run_id}); {remedy}"
    if live is not None and judged.champion != live.version:
        return (
            f"version {version} of {task} passed the gate against {judged.champion}, but {live.version} is live now; "
            f"{remedy}"
        )
    back = taken_back(read_deployments(connection, task)).get(version)
    if back is not None:
        return f"version {version} of {task} was taken back on {back.created_at:%Y-%m-%d} ({back.reason}); {remedy}"
    return None


def _way_back(history: list[Deployment], task: str, to: str | None) -> str:
    if to is not None:
        if to not in {one.version for one in history}:
            raise ConflictError(f"version {to[:63]!r} of {task} was never live; promote it instead of going back to it")
        return to
    known = ways_back(history)
    if not known:
        live = f"{history[0].version} is the first" if history else "it has no live model"
        raise ConflictError(f"{task} has no version to go back to: {live}; name one that was live with `to`")
    return known[0]
