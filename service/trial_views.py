"""What is told of trials: by the API, by `regrade runs show` and on the task page."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from feedback.store import Store
from feedback.trial_figures import BySide, Side, SideFigures, in_all, read_figures
from feedback.trials import Trial, trials_of

_SIDES: tuple[Side, ...] = ("candidate", "champion")


class SideView(BaseModel):
    """What was counted of one side of a trial."""

    requests: int = Field(description="Requests in a canary that it was to answer; 0 in a shadow.")
    texts: int = Field(description="Texts that it judged.")
    errors: int = Field(description="Requests, in a shadow texts, at which it failed.")
    mean_ms: float | None = Field(description="Milliseconds of a request with its wait; in a shadow of a text alone.")
    p95_ms: float | None = Field(description="Milliseconds within which 95 of 100 were done; null: more than 5,000.")


class TrialView(BaseModel):
    """A trial of a run's candidate on live traffic."""

    trial_id: str
    run_id: str
    kind: str = Field(description="`shadow`: it scores texts unseen; `canary`: it answers requests.")
    version: str = Field(description="The candidate.")
    champion: str = Field(description="The version it is tried beside.")
    share: float = Field(description="Share of the traffic that it gets, 0 to 1.")
    step: int = Field(description="The step of its share, from 1.")
    status: str = Field(description="open, passed, failed or ended.")
    message: str = Field(description="What came of it.")
    since: datetime = Field(description="When its step began.")
    created_at: datetime
    finished_at: datetime | None
    candidate_side: SideView
    champion_side: SideView
    agreement: float | None = Field(description="Share of a shadow's texts that both label alike; null in a canary.")
    dropped: int = Field(description="Texts that a shadow left out as workers were busy.")


def read_trials(store: Store, run_ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the trials of runs, by run, oldest first, in the form of `TrialView`.

    Raises:
        UnavailableError: the store is away.
    """
    found = trials_of(store, run_ids)
    if not found:
        return {}
    with store.read() as connection:
        figures = read_figures(connection, [trial.id for trials in found.values() for trial in trials])
    return {
        run_id: [_described(trial, figures.get(trial.id, {})) for trial in trials] for run_id, trials in found.items()
    }


def _described(trial: Trial, steps: Mapping[int, BySide]) -> dict[str, Any]:
    sides = {side: in_all(steps, side) for side in _SIDES}
    mine = sides["candidate"]
    compared = trial.kind == "shadow" and mine.texts
    return {
        "trial_id": trial.id,
        "run_id": trial.run_id,
        "kind": trial.kind,
        "version": trial.version,
        "champion": trial.champion,
        "share": trial.share,
        "step": trial.step,
        "status": trial.status,
        "message": trial.message,
        "since": trial.since,
        "created_at": trial.created_at,
        "finished_at": trial.finished_at,
        **{f"{side}_side": _side(figures) for side, figures in sides.items()},
        "agreement": round(mine.agreements / mine.texts, 4) if compared else None,
        "dropped": mine.dropped,
    }


def _side(figures: SideFigures) -> dict[str, Any]:
    mean, p95 = figures.mean_ms, figures.percentile_ms(0.95)
    return {
        "requests": figures.requests,
        "texts": figures.texts,
        "errors": figures.errors,
        "mean_ms": None if mean is None else round(mean, 3),
        "p95_ms": None if p95 is None or math.isinf(p95) else p95,
    }
