"""What the API and the pages tell of how a live version does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from feedback.sampling import Estimate
from feedback.watches import Kept


class ComparisonView(BaseModel):
    """The last look at one measure of the live version beside that of the version before."""

    measure: str = Field(description="`accuracy` on all traffic, `reports` of wrong answers, or `labels`.")
    number: int = Field(description="How many looks there were.")
    n: int = Field(description="Reviewed predictions for `accuracy`, otherwise predictions.")
    now: float = Field(description="A share; for `labels` the population stability index.")
    before: float
    loss: float = Field(description="By how much it is worse; for `reports` how many times as many.")
    limit: float = Field(description="The loss up to which a version is not taken back.")
    level: float = Field(description="How often at most chance alone makes this look call it worse.")
    significant: bool = Field(description="Whether it is worse beyond chance.")


class AccuracyView(BaseModel):
    """Share of right answers on all of the version's traffic, by weights, with its 95 % interval."""

    estimate: float
    low: float
    high: float
    n_reviewed: int
    n_traffic: int


class ShiftView(BaseModel):
    """How far recent traffic is from the first that the version had."""

    aspect: str = Field(description="`labels`, `confidence` or `texts`.")
    value: float = Field(description="Population stability index beyond chance; for `texts` an energy coefficient.")
    limit: float = Field(description="The value from which traffic counts as shifted.")
    verdict: str = Field(description="`steady`, `moving` or `shifted`.")
    n_reference: int
    n_recent: int


class WatchView(BaseModel):
    """How the live version does, as a scheduler found it at `computed_at`."""

    version: str
    before: str | None = Field(description="The version that it is held against; null: none.")
    returns: bool = Field(description="Whether that one is made live again where this one is worse.")
    until: str | None = Field(description="When the comparison ends; null: there is none.")
    worse: str | None = Field(description="Why it is worse; null: it has not been found to be.")
    comparisons: list[ComparisonView]
    accuracy: AccuracyView | None = Field(description="Null: nothing that triage drew has been resolved.")
    shifts: list[ShiftView] = Field(description="Empty: there is too little traffic yet.")
    drifted_at: str | None = Field(description="Since when traffic counts as shifted.")
    fell_at: str | None = Field(description="Since when the accuracy is below `audit_below` without doubt.")
    computed_at: str


def describe_watch(kept: Kept | None) -> dict[str, Any] | None:
    """Return how a live version does, as the API shows it; None where nobody has looked."""
    if kept is None:
        return None
    watched = kept.watched
    return {
        "version": watched.version,
        "before": watched.before,
        "returns": watched.returns,
        "until": watched.until.isoformat() if watched.until else None,
        "worse": watched.worse,
        "comparisons": [asdict(one) for one in watched.comparisons],
        "accuracy": _accuracy(watched.accuracy),
        "shifts": [asdict(one) for one in watched.shifts],
        "drifted_at": watched.drifted_at.isoformat() if watched.drifted_at else None,
        "fell_at": watched.fell_at.isoformat() if watched.fell_at else None,
        "computed_at": kept.computed_at.isoformat(),
    }


def _accuracy(found: Estimate | None) -> dict[str, Any] | None:
    return {name: getattr(found, name) for name in AccuracyView.model_fields} if found else None
