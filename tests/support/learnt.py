"""What the retraining job leaves in a store, put there without learning anything: snapshots, judged runs, reports."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from core.roles import Caller
from feedback.reviewed_items import read_reviews
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.runs import Run, RunStatus
from feedback.snapshots import Draft, SnapshotRecord, record_snapshot
from feedback.store import Store
from service.run_store import RUN_REPORT, runs_folder
from tasks.declaration import Task

HOLDER = "tests"


def snapshot_that_used(store: Store, task: Task, sha256: str, texts: Collection[str] | None = None) -> SnapshotRecord:
    """Record a snapshot of 10 base rows and the reviewed items with these texts (None: all there are)."""
    reviews = read_reviews(store, task)
    uses = {one.item_id: one.resolution_id for one in reviews.items if texts is None or one.text in texts}
    draft = Draft(task, sha256, 10 + len(uses), {}, uses, erasure=reviews.erasure)
    recorded = record_snapshot(store, draft)
    assert recorded is not None
    return recorded.snapshot


def judged_run(
    store: Store, task: str, sha256: str, version: str, decision: str, *, status: RunStatus, champion: str = "v1"
) -> Run:
    """Let a run have learnt `version` from a snapshot and have been judged."""
    ask_for_run(store, Caller("tests", "admin"), task, "fast", "request")
    assert take_lease(store, task, HOLDER)
    found = take_run(store, task, HOLDER)
    assert found is not None
    verdict = {"decision": decision, "reasons": [f"because: {decision}"], "checks": [], "warnings": []}
    told: dict[str, Any] = {"version": version, "champion": champion, "snapshot_sha256": sha256, "gate": verdict}
    found = move_run(store, found, HOLDER, "promote", **told)
    found = end_run(store, found, HOLDER, status, "over")
    free_lease(store, task, HOLDER)
    return found


PAGE = "<!DOCTYPE html><html lang=en><title>Run</title><main><h1>Report of a run</h1></main></html>"


def write_report(home: Path, run_id: str, content: str = PAGE) -> None:
    """Write the report of a run where the job writes it."""
    folder = runs_folder(home) / run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_REPORT).write_text(content, encoding="utf-8")
