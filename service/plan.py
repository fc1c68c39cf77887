"""What each step of a task's thresholds costs in reviews, and what it leaves wrong."""

from __future__ import annotations

from typing import Any

from core.errors import ModelError
from feedback.recent import Recent
from service.artifact import Manifest
from service.triage import scope_threshold
from tasks.declaration import Triage


def trade_off_of(manifest: Manifest, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the trade-off that training measured: `trust`, `answered`, `errors` and `most_error` by step, and `rows`.

    Raises:
        ModelError: the version was made before there was one.
    """
    found: dict[str, Any] | None = metrics.get("trade_off")
    if found is None or manifest.risk is None:
        raise ModelError(
            f"version {manifest.version} of {manifest.task} was made before thresholds were fitted; "
            f"train again with `regrade train {manifest.task}`"
        )
    return found


def make_plan(
    manifest: Manifest, trade_off: dict[str, Any], rules: Triage, recent: Recent, per_day: float
) -> dict[str, Any]:
    """Return the trade-off, ready for JSON, at `per_day` predictions a day, strictest step first.

    Errors are those of the held-out rows. Shares, 0 to 1, are of the recorded predictions, or of the held-out rows
    where none are recorded; `doubtful` is the share a person is asked about for doubt, `reviewed` has the audits too.
    What cannot be told is None.
    """
    trust = min(manifest.thresholds.values(), default=0.0)
    columns = (trade_off[name] for name in ("trust", "answered", "errors", "most_error"))
    steps = []
    for at, answered, errors, most in zip(*columns, strict=True):
        held_out = 1.0 - answered / trade_off["rows"] if trade_off["rows"] else None
        doubtful = share_doubtful(recent, at) if recent.scores else held_out
        reviewed = None if doubtful is None else doubtful + (1.0 - doubtful) * rules.audit
        steps.append(
            {
                "confidence": at,
                "doubtful": doubtful,
                "reviewed": reviewed,
                "error_left": errors / answered if answered else None,
                "at_most": most,
                "reviews_per_day": None if reviewed is None else reviewed * per_day,
                "in_force": at == trust,
            }
        )
    return {
        "task": manifest.task,
        "version": manifest.version,
        "traffic_per_day": per_day,
        "audit": rules.audit,
        "budget": rules.budget,
        "confidence": trust,
        "scope_threshold": manifest.scope_threshold,
        "risk": manifest.risk.model_dump() if manifest.risk else None,
        "held_out_rows": trade_off["rows"],
        "recorded_predictions": len(recent.scores),
        "steps": steps,
    }


def share_doubtful(recent: Recent, trust: float) -> float:
    """Return the share of recorded predictions, at least one, that a person is asked about if `trust` is asked for."""
    scope = scope_threshold(trust)
    doubtful = sum(confidence < trust or out_of_scope > scope for confidence, out_of_scope in recent.scores)
    return doubtful / len(recent.scores)


def affordable(steps: list[dict[str, Any]], reviews: float) -> dict[str, Any] | None:
    """Return the strictest step that asks for at most `reviews` a day, or None if even the loosest asks for more."""
    within = (step for step in steps if step["reviews_per_day"] is not None and step["reviews_per_day"] <= reviews)
    return next(within, None)
