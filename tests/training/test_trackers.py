"""Experiment trackers are told of figures and of nobody's text; each is tried for real where it is installed."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingError
from core.settings import Settings, load_settings
from feedback.runs import Run
from service.artifact import Manifest, read_manifest, read_metrics
from tests.support.server import wait_until
from training.tracked import tracked
from training.trackers import _to_mlflow, _to_wandb, check_trackers, track_version


@pytest.fixture
def manifest(tiny_version: Path) -> Manifest:
    return read_manifest(tiny_version)


@pytest.fixture
def metrics(tiny_home: Path, tiny_versions: tuple[str, str]) -> dict[str, Any]:
    return read_metrics(tiny_home / "bentoml" / "models" / "tiny-intent" / tiny_versions[1])


def needs(tracker: str) -> None:
    """Skip a test whose tracker is not installed; where it must be, fail."""
    if find_spec(tracker) is not None:
        return
    if os.environ.get("REGRADE_REQUIRE_TRACKERS"):
        pytest.fail(f"{tracker} is not here, and REGRADE_REQUIRE_TRACKERS is set")
    pytest.skip(f"{tracker} is not here")


def asked_for(home: Path, *names: str) -> Settings:
    return load_settings(home=home, trackers=names)


def test_names_come_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRADE_TRACKERS", "mlflow, wandb")
    assert load_settings().trackers == ("mlflow", "wandb")
    monkeypatch.setenv("REGRADE_TRACKERS", "aim")
    with pytest.raises(SettingError, match="mlflow"):
        load_settings()


def test_what_is_not_installed_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_trackers(asked_for(tmp_path))
    monkeypatch.setattr("training.trackers.find_spec", lambda _: None)
    with pytest.raises(SettingError, match="pip install mlflow-skinny"):
        check_trackers(asked_for(tmp_path, "mlflow"))


def test_figures_and_choices_are_told_and_no_text(manifest: Manifest, metrics: dict[str, Any]) -> None:
    told = tracked(manifest, metrics)
    assert told.figures["accuracy"] == manifest.summary["accuracy"]
    assert told.choices["labels"] == 3
    assert told.curves, "one of each epoch of the fine-tuned version"
    assert all(curve["train_loss"] > 0 for curve in told.curves.values())
    words = json.dumps([dict(told.tags), dict(told.choices)])
    for text in ("parcel", "refund", "dear shop", "weather"):
        assert text not in words


def test_of_a_candidate_the_verdict_is_told(manifest: Manifest) -> None:
    fields: dict[str, Any] = dict.fromkeys(Run.__dataclass_fields__)
    fields |= {"id": "a-run", "trigger": "cron", "status": "rejected", "gate": {"decision": "fail"}}
    run = Run(**fields)
    told = tracked(manifest, {}, run)
    assert (told.tags["run_id"], told.tags["status"], told.tags["gate"]) == ("a-run", "rejected", "fail")
    assert told.curves == {}


def test_a_tracker_that_fails_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    track_version(asked_for(tmp_path, "mlflow"), "tiny-intent", "20200101-000000-abcdef")
    assert "no tracker is told" in caplog.text
    track_version(asked_for(tmp_path), "tiny-intent", "20200101-000000-abcdef")


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_it(manifest: Manifest, metrics: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    needs("mlflow")
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    told = tracked(manifest, metrics)
    _to_mlflow(told, tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = mlflow.search_runs(experiment_names=["regrade/tiny-intent"], output_format="list")
    assert run.info.run_name == manifest.version
    assert run.data.tags["snapshot_sha256"] == manifest.snapshot_sha256
    assert run.data.metrics["accuracy"] == pytest.approx(manifest.summary["accuracy"])
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train_loss")
    assert [one.step for one in history] == list(told.curves)


@pytest.mark.filterwarnings("ignore")
def test_wandb_has_it(manifest: Manifest, metrics: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    needs("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    _to_wandb(tracked(manifest, metrics), tmp_path)
    (log,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    wait_until(lambda: manifest.version.encode() in log.read_bytes())  # it writes a moment after the run's end
    content = log.read_bytes()
    assert b"train_loss" in content
    for text in (b"parcel", b"dear shop"):
        assert text not in content
