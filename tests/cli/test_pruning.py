"""Old versions go with what was kept of their runs, never what is needed; a lost database makes no candidate live."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.ids import new_id
from core.roles import Caller
from feedback.audit import list_entries
from feedback.deployments import live_deployments
from feedback.pins import pin
from feedback.run_queue import ask_for_run
from feedback.store import Store, open_store
from tests.conftest import ENVIRONMENT
from tests.support.checkout import ROOT
from tests.support.learnt import judged_run, write_report

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

TASK = "tiny-intent"
OPERATOR = Caller("tests", "admin")


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    yield opened
    opened.close()


def versions(home: Path) -> set[str]:
    return {one.name for one in (home / "bentoml" / "models" / TASK).iterdir() if one.is_dir()}


def add_candidate(home: Path, source: str, version: str) -> str:
    """Put a copy of a version into the model store, as a run of the retraining job would have made it."""
    models = home / "bentoml" / "models" / TASK
    shutil.copytree(models / source, models / version)
    manifest = json.loads((models / version / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"version": version, "created_at": "2099-01-01T00:00:00Z"}
    manifest["recipe"]["champion"] = source
    (models / version / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    about = models / version / "model.yaml"
    about.write_text(about.read_text(encoding="utf-8").replace(source, version), encoding="utf-8")
    (home / "reports").mkdir(exist_ok=True)
    (home / "reports" / f"{TASK}-{version}.html").write_text("report", encoding="utf-8")
    (home / "tensorboard" / TASK / version).mkdir(parents=True)
    return version


def test_what_goes_takes_its_files_along(
    regrade: Regrade, home: Path, store: Store, tiny_versions: tuple[str, str]
) -> None:
    first, second = tiny_versions
    old, kept, last = (add_candidate(home, first, f"2099010{day}-000000-abcdef") for day in (1, 2, 3))
    runs = {
        version: judged_run(store, TASK, "a" * 64, version, "fail", status="rejected") for version in (old, kept, last)
    }
    waiting = ask_for_run(store, OPERATOR, TASK, "full", "request")
    unknown = new_id()
    for run_id in [*(run.id for run in runs.values()), waiting.id, unknown]:
        write_report(home, run_id)
    pin(store, OPERATOR, TASK, kept)
    looked = regrade("models", "prune", TASK, "--keep", "1", "--dry-run", "--json")
    told = {"pruned": {TASK: [second, old]}, "runs": {TASK: [runs[old].id]}, "dry_run": True}
    assert json.loads(looked.stdout) == told
    assert versions(home) == {first, second, old, kept, last}
    done = regrade("models", "prune", TASK, "--keep", "1")
    assert done.returncode == 0
    assert f"deleted: {second}, {old}, what was kept of 1 runs" in done.stderr
    assert versions(home) == {first, kept, last}
    left = {one.name for one in (home / "runs").iterdir()}
    assert left == {runs[kept].id, runs[last].id, waiting.id, unknown}
    assert {one.name for one in (home / "tensorboard" / TASK).iterdir()} >= {kept, last}
    assert not (home / "tensorboard" / TASK / old).exists()
    assert not (home / "reports" / f"{TASK}-{old}.html").exists()
    assert (home / "reports" / f"{TASK}-{kept}.html").exists()
    pruned = [entry.details["version"] for entry in list_entries(store, limit=1000) if entry.action == "models.prune"]
    assert pruned == [second, old]
    assert "nothing to prune" in regrade("models", "prune", TASK, "--keep", "1").stderr


def first_start(home: Path) -> subprocess.CompletedProcess[str]:
    """Do what `regrade serve` does before it serves."""
    program = (
        "from regrade.environment import prepare; from regrade.first_start import ensure_versions; "
        "print(ensure_versions(prepare()))"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(home), "REGRADE_TASKS": TASK}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=home, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_lost_database_makes_no_candidate_live(home: Path, tiny_versions: tuple[str, str]) -> None:
    candidate = add_candidate(home, tiny_versions[0], "20990101-000000-abcdef")
    (home / "regrade.sqlite3").unlink()
    started = first_start(home)
    assert tiny_versions[1] in started.stdout, "the newest that `regrade train` made"
    assert f"regrade promote {TASK} {candidate} --force" in started.stderr
    opened = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    assert live_deployments(opened)[TASK].version == tiny_versions[1]
    opened.close()


def test_with_candidates_alone_nothing_goes_live(home: Path, tiny_versions: tuple[str, str]) -> None:
    add_candidate(home, tiny_versions[0], "20990101-000000-abcdef")
    for version in tiny_versions:
        shutil.rmtree(home / "bentoml" / "models" / TASK / version)
    (home / "regrade.sqlite3").unlink()
    started = first_start(home)
    assert "None" in started.stdout
    assert "regrade train tiny-intent" in started.stderr
