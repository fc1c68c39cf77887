"""What is told of runs of the retraining job: by the API and by the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from feedback.deployments import Deployment, list_deployments, taken_back
from feedback.runs import Run
from feedback.store import Store
from service.trial_views import TrialView, read_trials


class RunView(BaseModel):
    """One execution of the retraining job."""

    run_id: str
    task: str
    mode: str = Field(description="`full` or `fast`.")
    trigger: str = Field(description="Why it was asked for.")
    asked_by: str
    promote: bool = Field(description="Whether a candidate that passes goes live by itself.")
    state: str = Field(description="Its step: queued, snapshot, learn, gate, promote, shadow, canary, done.")
    status: str = Field(
        description="queued, running, on_trial, promoted, passed, rejected, inconclusive, unchanged, failed or "
        "cancelled."
    )
    progress: float = Field(ge=0, le=1, description="How far the step is.")
    attempts: int = Field(description="How often a process began or went on with it.")
    champion: str | None = Field(description="The version that the candidate is compared with.")
    version: str | None = Field(description="The candidate.")
    snapshot_sha256: str | None
    gate: dict[str, Any] | None = Field(description="The verdict: decision, checks, reasons, warnings.")
    figures: dict[str, Any] | None = Field(description="What else is worth telling, such as rows and seconds.")
    message: str = Field(description="What it does, or what came of it.")
    trials: list[TrialView] = Field(description="Trials of the candidate on live traffic, oldest first.")
    taken_back: str | None = Field(description="Why the watch took the candidate back; null: it did not.")
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None


class RunsView(BaseModel):
    """Body of `GET /v1/runs`."""

    runs: list[RunView]


def describe_runs(store: Store, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return runs as the API shows them, with their trials.

    Raises:
        UnavailableError: the store is away.
    """
    tried = read_trials(store, [run.id for run in runs])
    back = {task: taken_back(list_deployments(store, task)) for task in {run.task for run in runs}}
    return [
        _described(run) | {"trials": tried.get(run.id, []), "taken_back": _reason(back[run.task].get(str(run.version)))}
        for run in runs
    ]


def _reason(deployment: Deployment | None) -> str | None:
    return deployment.reason if deployment else None


def _described(run: Run) -> dict[str, Any]:
    told = asdict(run)
    return {"run_id": told.pop("id"), **told}
