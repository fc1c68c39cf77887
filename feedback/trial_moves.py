"""What becomes of a candidate that passed the gate and is to be tried: each move in one transaction.

Whoever advances a trial says of which step it speaks: where another was quicker, or a person has made another version
live, nothing changes. So any number of schedulers may look, and die, at any moment.
"""

from __future__ import annotations

from sqlalchemy import Connection, update

from core.errors import ConflictError
from core.ids import new_id
from core.roles import REGRADE, Caller
from feedback.audit import note
from feedback.deployments import live_deployment, lock_deployments
from feedback.promotion import Exists, go_live
from feedback.run_queue import change_run, check_run, lock_runs
from feedback.runs import Run, RunStatus, read_run
from feedback.schema import trials
from feedback.store import Store
from feedback.trials import Trial, TrialKind, TrialStatus, close_trial, end_trial, read_open_trial


def begin_trial(store: Store, run: Run, holder: str, kind: TrialKind, share: float) -> Run | None:
    """Put the candidate of `run`, which passed the gate, on trial; the run goes on without a process of its own.

    None, and nothing changed, where another version is live by now than the one it was compared with.

    Raises:
        LeaseLostError: `holder` has not got the lease of the task any more.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deployments(store, connection, run.task)
        check_run(store, connection, run, holder)
        live = live_deployment(connection, run.task)
        if live is None or live.version != run.champion:
            return None
        _open(store, connection, run, kind, share)
        return read_run(connection, run.id)


def raise_share(store: Store, trial: Trial, share: float) -> bool:
    """Let the next step of a canary begin, with more of the requests; tell whether it did."""
    with store.write() as connection:
        if not _is_still(store, connection, trial):
            return False
        now = store.now(connection)
        after = {"share": share, "step": trial.step + 1, "since": now}
        connection.execute(update(trials).where(trials.c.id == trial.id).values(after))
        run = read_run(connection, trial.run_id)
        change_run(store, connection, run, message=_told(trial.kind, trial.version, share))
        note(connection, REGRADE, "trials.raise", trial.id, task=trial.task, version=trial.version, share=share)
        return True


def follow_trial(store: Store, trial: Trial, message: str, kind: TrialKind, share: float) -> bool:
    """End a trial as passed, and begin another one of the same candidate; tell whether it was done."""
    with store.write() as connection:
        if not _is_still(store, connection, trial):
            return False
        end_trial(connection, trial, "passed", message, store.now(connection))
        _open(store, connection, read_run(connection, trial.run_id), kind, share)
        return True


def promote_tried(store: Store, trial: Trial, message: str, exists: Exists) -> Run | None:
    """End a trial as passed and make its candidate live; None, and nothing changed, where it is over by now.

    Raises:
        NotFoundError: the candidate is not in the model store.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        if not _is_still(store, connection, trial):
            return None
        exists(trial.task, trial.version)
        said = f"{trial.version} passed the gate and its {trial.kind}, and is live: {message}"
        close_trial(connection, trial, "passed", "promoted", said, store.now(connection))
        reason = f"passed the gate of run {trial.run_id}, and its {trial.kind}"
        go_live(store, connection, REGRADE, (trial.task, trial.version, reason), "gate", trial.run_id)
        return read_run(connection, trial.run_id)


def fail_trial(store: Store, trial: Trial, message: str) -> bool:
    """End a trial that the candidate failed, and its run as `rejected`: somebody is told. Tell whether it was done."""
    return _stop(store, trial, "failed", "rejected", message)


def give_up_trial(store: Store, trial: Trial, message: str) -> bool:
    """End a trial of which too little was seen, and its run as `inconclusive`; tell whether it was done."""
    return _stop(store, trial, "ended", "inconclusive", message)


def cancel_run(store: Store, caller: Caller, run_id: str, reason: str = "") -> Run:
    """End a run that waits, or whose candidate is on trial; the champion stays.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: it is worked on, or over.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        task = read_run(connection, run_id).task
        lock_deployments(store, connection, task)
        lock_runs(store, connection, task)
        run = read_run(connection, run_id)
        message = f"cancelled by {caller.person}" + (f": {reason}" if reason else "")
        trial = read_open_trial(connection, task) if run.status == "on_trial" else None
        if trial is not None:
            close_trial(connection, trial, "ended", "cancelled", message, store.now(connection))
        elif run.status == "queued":
            ended = {"state": "done", "status": "cancelled", "progress": 1.0, "message": message}
            change_run(store, connection, run, **ended, finished_at=store.now(connection))
        else:
            state = "worked on: stop the process that does" if run.status == "running" else f"over ({run.status})"
            raise ConflictError(f"run {run_id} of {task} is {state}; only one that waits or is on trial is cancelled")
        note(connection, caller, "runs.cancel", run_id, task=task, version=run.version)
        return read_run(connection, run_id)


def _open(store: Store, connection: Connection, run: Run, kind: TrialKind, share: float) -> None:
    now, identifier = store.now(connection), new_id()
    about = {"task": run.task, "run_id": run.id, "kind": kind, "version": run.version, "champion": run.champion}
    begun = {"share": share, "step": 1, "status": "open", "message": "", "since": now, "created_at": now}
    connection.execute(trials.insert().values(id=identifier, **about, **begun))
    message = _told(kind, str(run.version), share)
    change_run(store, connection, run, state=kind, status="on_trial", progress=0.0, message=message)
    note(connection, REGRADE, "trials.begin", identifier, **about, share=share)


def _told(kind: TrialKind, version: str, share: float) -> str:
    does = "scores, unseen," if kind == "shadow" else "answers"
    return f"{version} {does} {share:.1%} of the {'texts' if kind == 'shadow' else 'requests'}"


def _stop(store: Store, trial: Trial, status: TrialStatus, run_status: RunStatus, message: str) -> bool:
    with store.write() as connection:
        if not _is_still(store, connection, trial):
            return False
        close_trial(connection, trial, status, run_status, message, store.now(connection))
        return True


def _is_still(store: Store, connection: Connection, trial: Trial) -> bool:
    """Tell whether a trial is open and in that step; nobody moves it before this write transaction ends."""
    lock_deployments(store, connection, trial.task)
    now = read_open_trial(connection, trial.task)
    return now is not None and (now.id, now.step) == (trial.id, trial.step)
