"""`regrade lineage`: from an id along what people said, as a tree and as JSON."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from feedback.revisions import note_revision
from feedback.store import open_store
from service.lineage_replies import LineageView
from tasks.declaration import read_task
from tests.support.learnt import judged_run, snapshot_that_used
from tests.support.scene import Scene

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

TASK, TEXT = "tiny-intent", "the courier never came"


def test_an_answer_is_followed_to_the_version_that_learnt_from_it(
    regrade: Regrade, home: Path, tiny_versions: tuple[str, str]
) -> None:
    with closing(open_store(f"sqlite:///{home / 'regrade.sqlite3'}")) as store:
        scene = Scene(store, read_task(home / "tasks" / TASK))
        note_revision(store, scene.task)
        scene.predict(TEXT, version=tiny_versions[0])
        said = scene.answer("ann", scene.claim("ann")[TEXT], "refund")
        snapshot = snapshot_that_used(store, scene.task, "e" * 64)
        run = judged_run(store, TASK, snapshot.sha256, tiny_versions[1], "fail", status="rejected")
    shown = regrade("lineage", said.answer_id)
    assert shown.returncode == 0, shown.stderr
    assert f"answer {said.answer_id} of {TASK}" in shown.stdout
    assert "resolved as 'refund': used by 1 snapshot" in shown.stdout
    assert f"fast run {run.id}: rejected, gate: fail against v1 → version {tiny_versions[1]}" in shown.stdout
    told = json.loads(regrade("lineage", said.answer_id, "--json").stdout)
    assert LineageView.model_validate(told).kind == "answer"
    version = regrade("lineage", tiny_versions[1], "--limit", "1")
    assert TEXT in version.stdout
    assert f"snapshot {snapshot.number} (" in version.stdout
    live = regrade("lineage", tiny_versions[0])
    assert "went live" in live.stdout
    assert "note: trained from files" in live.stdout
    unknown = regrade("lineage", "nosuch")
    assert unknown.returncode == 1
    assert "nothing here has the id 'nosuch'" in unknown.stderr
