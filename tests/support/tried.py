"""Candidates on trial, without a run of the job before them."""

from __future__ import annotations

from typing import Any

from core.roles import Caller
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, move_run, take_run
from feedback.runs import Run
from feedback.store import Store
from feedback.trial_moves import begin_trial
from feedback.trials import Trial, TrialKind, open_trials

_HOLDER = "tests"


def passed_gate(store: Store, task: str, version: str, champion: str, **found: Any) -> Run:
    """Return a run of `task` that is worked on, and whose candidate the gate has passed."""
    ask_for_run(store, Caller("root", "admin"), task, "full", "request")
    assert take_lease(store, task, _HOLDER)
    run = take_run(store, task, _HOLDER)
    assert run is not None
    verdict = {"decision": "pass", "reasons": []}
    return move_run(store, run, _HOLDER, "promote", version=version, champion=champion, gate=verdict, **found)


def put_on_trial(store: Store, task: str, version: str, champion: str, kind: TrialKind, share: float) -> Trial:
    """Put `version` on trial beside `champion`."""
    run = passed_gate(store, task, version, champion)
    assert begin_trial(store, run, _HOLDER, kind, share) is not None
    free_lease(store, task, _HOLDER)
    return next(trial for trial in open_trials(store) if trial.task == task)
