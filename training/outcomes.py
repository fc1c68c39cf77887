"""What comes of a run, in words and figures: none of them holds a text."""

from __future__ import annotations

from typing import Any

from feedback.runs import Run, RunMode, RunStatus, find_judged
from feedback.store import Store
from training.snapshot_rows import Snapshot


def nothing_new(store: Store, run: Run, snapshot: Snapshot) -> str | None:
    """Say why there is nothing to learn, or None. What a full run learnt from, a fast one need not."""
    covering: tuple[RunMode, ...] = ("full",) if run.mode == "full" else ("full", "fast")
    before = find_judged(store, run.task, snapshot.sha256, covering)
    if before is not None:
        return f"nothing new: run {before.id} learnt from the same rows, and was {before.status}"
    if snapshot.previous is None and not any(row.source == "reviewed" for row in snapshot.rows + snapshot.outside):
        return "nothing new: nobody has reviewed anything yet that could be learnt from"
    return None


def refusal(run: Run) -> tuple[RunStatus, str] | None:
    """Return how a run ends whose candidate has not passed the gate, and why; None where it has."""
    verdict = run.gate or {}
    if verdict["decision"] == "fail":
        return "rejected", f"the gate refused {run.version}: {_first(verdict)}"
    if verdict["decision"] == "inconclusive":
        more = f"; about {verdict['more_gold']:,} more gold rows would settle it" if verdict.get("more_gold") else ""
        return "inconclusive", f"{run.champion} stays, as too little is shown of {run.version}: {_first(verdict)}{more}"
    return None


def _first(verdict: dict[str, Any]) -> str:
    reasons = verdict.get("reasons") or ["no reason is given"]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"


def figures_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a run tells of its snapshot: rows by kind, and how many were set aside."""
    rows = snapshot.rows + snapshot.outside
    return {
        "snapshot": snapshot.number,
        "rows": len(rows),
        "reviewed": sum(row.source == "reviewed" for row in rows),
        "new_reviewed": snapshot.new_reviewed,
        "set_aside": len(snapshot.aside),
        "gold": len(snapshot.gold),
    }
