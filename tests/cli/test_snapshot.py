"""`regrade snapshot`: what models learn from, as people look at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from feedback.store import open_store
from tasks.declaration import read_task
from tests.cli.conftest import Done, Regrade
from tests.support.scene import Scene

TASK = "tiny-intent"
TEXT = "the courier of wilma never came"


def facts(done: Done) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_snapshots_are_taken_shown_compared_and_erased(regrade: Regrade, home: Path) -> None:
    assert "no snapshot of tiny-intent yet" in regrade("snapshot", "list", TASK).stderr
    assert regrade("snapshot", "show", TASK).returncode == 1
    first = facts(regrade("snapshot", "take", TASK, "--json"))
    assert (first["number"], first["rows"]["base"], first["rows"]["reviewed"]) == (1, 125, 0)
    store = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    scene = Scene(store, read_task(home / "tasks" / TASK))
    scene.bring(TEXT, subject="wilma")
    scene.answer("ann", scene.claim("ann")[TEXT], "parcel")
    store.close()
    assert "reviewed" in regrade("snapshot", "take", TASK).stdout
    found = facts(regrade("snapshot", "list", TASK, "--json"))["snapshots"]
    assert [(one["number"], one["reviewed"]) for one in found] == [(2, 1), (1, 0)]
    shown = facts(regrade("snapshot", "show", TASK, "2", "--json", "--examples", "1"))
    assert (shown["sha256"], shown["new_reviewed"], shown["quarantines"]) == (found[0]["sha256"], 1, [])
    diff = facts(regrade("snapshot", "diff", TASK, "1", "--json"))
    assert (diff["added"], diff["removed"], diff["by_label"]["parcel"]) == (1, 0, {"before": 40, "after": 41})
    assert diff["examples"]["added"][0]["annotators"] == ["ann"]
    assert TEXT in regrade("snapshot", "diff", TASK, "1", "2").stdout
    assert "nothing is to be released" in regrade("snapshot", "release", TASK, "ann").stderr
    erased = facts(regrade("erase", "--subject", "wilma", "--yes", "--json"))
    assert (erased["counts"]["snapshot_rows"], erased["snapshots_pending"]) == (1, False)
    assert facts(regrade("snapshot", "show", TASK, "--json"))["erased"] == 1
    assert not [file for file in home.rglob("*") if file.is_file() and b"wilma" in file.read_bytes()]
