from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import TaskError
from core.settings import Settings
from service.artifact import read_metrics, verify_files
from service.classifier import load_classifier
from service.model_store import version_folder
from tasks.catalogue import TaskFolder
from training.rows import Row
from training.train import Trained, train


@pytest.fixture(scope="module", params=[True, False], ids=["quick", "full"])
def trained(request: pytest.FixtureRequest, settings: Settings, folder: TaskFolder) -> Trained:
    return train(settings, folder, quick=request.param, shown=False)


def stored(trained: Trained) -> Path:
    return version_folder(trained.manifest.task, trained.manifest.version)


def test_a_version_is_whole_and_serves(trained: Trained, folder: TaskFolder) -> None:
    manifest = trained.manifest
    verify_files(stored(trained), manifest)
    classifier = load_classifier(stored(trained))
    assert list(classifier.label_names) == folder.task.label_names
    scores = classifier.classify(["where is my parcel", "reset the login"]).scores
    assert scores.probabilities.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert manifest.gate.decision == "untested"
    assert manifest.recipe["seed"] == 7
    assert manifest.base.name == folder.task.base
    assert manifest.summary.keys() == {"accuracy", "macro_f1", "ece"}
    assert (stored(trained) / "NOTICE.txt").read_text()


def test_gold_is_judged_as_served(trained: Trained) -> None:
    evaluation = trained.evaluation
    assert evaluation is not None
    assert evaluation.n == 15
    assert evaluation.headline == pytest.approx(trained.manifest.summary)
    assert evaluation.out_of_scope is not None
    assert evaluation.out_of_scope.n == 1
    assert evaluation.without_twins is not None
    assert sum(map(sum, evaluation.confusion)) == 15


def test_unused_rows_are_told_by_line(trained: Trained) -> None:
    assert [fault.line for fault in trained.faults] == [127]
    assert "'mystery'" in trained.faults[0].msg


def test_figures_hold_no_text(trained: Trained) -> None:
    content = (stored(trained) / "metrics.json").read_text()
    assert "parcel today" not in content
    figures = read_metrics(stored(trained))
    assert figures["measured_on"] == "gold"
    assert figures["rows"]["train"] == 120
    assert figures["parity"]["fp32_torch_max"] < 1e-3


def test_the_report_stands_alone(trained: Trained, settings: Settings) -> None:
    assert trained.report.parent == settings.reports
    page = trained.report.read_text(encoding="utf-8")
    assert trained.manifest.version in page
    assert trained.manifest.snapshot_sha256 in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    for words in ("Confusion matrix", "Reliability", "prefers-color-scheme: dark"):
        assert words in page


def test_the_same_seed_gives_the_same_model(trained: Trained, settings: Settings, folder: TaskFolder) -> None:
    again = train(settings, folder, quick=trained.manifest.method == "quick", shown=False)
    for name in ("model.fp32.onnx", "model.int8.onnx"):
        assert again.manifest.files[name] == trained.manifest.files[name]
    assert again.manifest.temperature == trained.manifest.temperature
    assert again.manifest.snapshot_sha256 == trained.manifest.snapshot_sha256


def test_texts_in_the_report_are_escaped(settings: Settings, folder: TaskFolder, tmp_path: Path) -> None:
    from training.own_data import write_rows
    from training.rows import read_rows

    path = tmp_path / folder.task.name
    path.mkdir()
    write_rows(path / "train.csv", read_rows(folder.train_file).rows)
    write_rows(path / "gold.csv", [Row("<script>alert(1)</script> parcel", label) for label in folder.task.label_names])
    trained = train(settings, TaskFolder(folder.task, path), quick=True, shown=False)
    page = trained.report.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_a_length_beyond_the_encoder_is_refused(settings: Settings, folder: TaskFolder) -> None:
    task = folder.task.model_copy(update={"max_length": 100})
    with pytest.raises(TaskError, match="sees at most 64 tokens"):
        train(settings, TaskFolder(task, folder.folder), quick=True, shown=False)
