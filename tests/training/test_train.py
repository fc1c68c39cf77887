from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import TaskError
from core.settings import Settings
from service.artifact import read_metrics, verify_files
from service.classifier import load_classifier
from service.model_store import version_folder
from tasks.catalogue import TaskFolder
from training.assemble import _parity_rows
from training.examples import Examples, encode_rows
from training.learn import Lesson
from training.own_data import write_rows
from training.rows import Row
from training.scope_fit import fit_statistics
from training.train import Trained, train

SUBJECTS = {"parcel": "my parcel is missing", "refund": "give the money back", "password": "login does not work"}
VARIED = [
    "amber", "basalt", "cinnamon", "dolphin", "eleven", "fjord", "granite", "harbour", "iguana", "jigsaw", "kettle",
    "lantern", "mosaic", "nutmeg", "orchid", "pepper", "quartz", "raven", "saffron", "tundra", "umbrella", "velvet",
    "walnut", "xylophone", "yonder", "zephyr", "bramble", "cobalt", "domino", "ermine", "falcon", "gazebo", "hazel",
    "indigo", "jasmine", "kimono", "lagoon", "marble", "nectar", "onyx",
]  # fmt: skip


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
    assert figures["parity"]["n"] == 120, "all rows, not only the few that calibrate"


def test_parity_looks_at_held_out_rows_first_and_all_over_the_file() -> None:
    parts = {"train": list(range(2000)), "validation": [2000, 2001], "calibration": [2002, 2003]}
    chosen = _parity_rows(Lesson(Examples([], np.zeros(0, dtype=np.int64)), parts, [], 2))
    assert chosen[:4] == [2002, 2003, 2000, 2001]
    assert 400 <= len(chosen) <= 512
    assert len(set(chosen)) == len(chosen)
    assert max(chosen[4:]) > 1900


@pytest.mark.parametrize(
    ("quick", "refit", "used"), [(False, False, "train"), (False, True, "all"), (True, False, "all")]
)
def test_scope_statistics_are_of_the_rows_that_were_fitted_on(
    settings: Settings, folder: TaskFolder, monkeypatch: pytest.MonkeyPatch, quick: bool, refit: bool, used: str
) -> None:
    counts: list[int] = []

    def spy(embeddings: Any, targets: Any, n_labels: int) -> Any:
        counts.append(len(targets))
        return fit_statistics(embeddings, targets, n_labels)

    monkeypatch.setattr("training.assemble.fit_statistics", spy)
    recipe = folder.task.training.model_copy(update={"epochs": 1, "refit": refit})
    task = folder.task.model_copy(update={"training": recipe})
    trained = train(settings, TaskFolder(task, folder.folder), quick=quick, shown=False)
    parts = read_metrics(stored(trained))["rows"]["parts"]
    learnt = [parts[name] for name in ("train", "validation", "calibration")]
    assert counts == [learnt[0] if used == "train" else sum(learnt)]


def test_thresholds_without_a_held_out_row_are_not_certified(trained: Trained) -> None:
    risk, manifest = trained.manifest.risk, trained.manifest
    assert risk is not None
    assert not risk.certified
    assert (risk.rows, risk.answered) == (0, 0)
    assert risk.more_needed is not None
    assert risk.more_needed >= 59
    assert "rows needed" in risk.note
    assert manifest.thresholds == pytest.approx({label.name: 0.95 for label in manifest.labels})
    assert manifest.scope_threshold == pytest.approx(0.05)
    assert "Not certified" in trained.report.read_text(encoding="utf-8")


def test_rows_that_certify_are_learnt_from_by_nobody(
    settings: Settings, folder: TaskFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row(f"{text} {word}", label) for label, text in SUBJECTS.items() for word in VARIED]
    outside = [Row(f"the {word} outside is lovely", "out_of_scope") for word in VARIED]
    path = tmp_path / folder.task.name
    path.mkdir()
    write_rows(path / "train.csv", [*rows, *outside])
    seen: list[list[str]] = []

    def spy(some: list[Row], *others: Any) -> Examples:
        seen.append([row.text for row in some])
        return encode_rows(some, *others)

    monkeypatch.setattr("training.train.encode_rows", spy)
    trained = train(settings, TaskFolder(folder.task, path), quick=True, shown=False)
    figures = read_metrics(stored(trained))
    risk, parts = trained.manifest.risk, figures["rows"]["parts"]
    assert risk is not None
    assert parts["certification"] == risk.rows > risk.outside > 0
    assert len(seen[0]) == len(rows) - (risk.rows - risk.outside) == sum(parts.values()) - risk.rows
    assert figures["out_of_scope_curve"]["n_outside"] == len(outside) - risk.outside
    steps = figures["trade_off"]
    assert steps["rows"] == risk.rows
    assert steps["trust"] == sorted(steps["trust"], reverse=True)
    assert set(trained.manifest.thresholds) == set(folder.task.label_names)
    assert trained.manifest.drift_from is not None


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
    for name in ("model.fp32.onnx", "model.int8.onnx", "model.int8.bin"):
        assert again.manifest.files[name] == trained.manifest.files[name]
    assert again.manifest.temperature == trained.manifest.temperature
    assert again.manifest.snapshot_sha256 == trained.manifest.snapshot_sha256


def test_texts_in_the_report_are_escaped(settings: Settings, folder: TaskFolder, tmp_path: Path) -> None:
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
