from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from core.errors import ConflictError, DataError, TaskError
from core.settings import Settings, load_settings
from regrade.train import _train
from service.artifact import read_metrics
from service.model_store import version_folder
from tasks.catalogue import TaskFolder, find_task
from tasks.declaration import OUT_OF_SCOPE, read_task
from training.own_data import name_from, new_task, task_for_data, write_rows
from training.rows import Row, read_rows
from training.train import Trained, train


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


@pytest.fixture
def data(tmp_path: Path, tiny_rows: list[Row]) -> Path:
    path = tmp_path / "My messages.csv"
    outside = [
        Row(f"{word} is the weather there", OUT_OF_SCOPE) for word in ("rainy", "snowy", "windy", "sunny", "hot")
    ]
    write_rows(path, [*tiny_rows, *outside, Row("", "parcel")])
    return path


def test_a_new_task_has_a_gold_part(home: Settings, data: Path) -> None:
    made = new_task(home, "my-task", data)
    assert find_task(home, "my-task").folder == made.folder.folder == home.own_tasks / "my-task"
    assert made.folder.task.label_names == ["parcel", "password", "refund"]
    assert [label.id for label in made.folder.task.labels] == [1, 2, 3]
    train_rows, gold = (read_rows(path).rows for path in (made.folder.train_file, made.folder.gold_file))
    assert len(gold) == pytest.approx(25, abs=8)
    assert not {row.text for row in train_rows} & {row.text for row in gold}
    assert Counter(row.label for row in gold)[OUT_OF_SCOPE] <= 1
    assert [(fault.line, fault.msg[:13]) for fault in made.faults] == [(127, "text is empty")]
    assert "## refund" in made.folder.guideline
    with pytest.raises(ConflictError, match="already"):
        new_task(home, "my-task", data)


def test_data_alone_becomes_a_task_without_gold(home: Settings, data: Path) -> None:
    made = task_for_data(home, data)
    assert made.made
    assert made.folder.task.name == "my-messages"
    assert not made.folder.gold_file.exists()
    again = task_for_data(home, data)
    assert not again.made
    assert again.folder == made.folder


def test_a_version_without_gold_says_that_it_cannot_be_gated(
    settings: Settings, folder: TaskFolder, data: Path
) -> None:
    (folder.folder.parent / "no-gold").mkdir(exist_ok=True)
    bare = TaskFolder(folder.task.model_copy(update={"name": "no-gold"}), folder.folder.parent / "no-gold")
    trained = train(settings, bare, data, quick=True, shown=False)
    assert trained.evaluation is None
    assert trained.manifest.gate.decision == "ungated"
    assert "cannot be gated" in trained.report.read_text(encoding="utf-8")
    (bare.folder).rmdir()


@pytest.mark.parametrize("failure", [DataError("no usable rows"), KeyboardInterrupt()])
def test_a_task_made_for_a_training_that_fails_is_removed(
    home: Settings, data: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("training.train.train", fails)
    with pytest.raises(type(failure)):
        _train(home, "mail", data, (None, None), quick=True, seed=None)
    assert not (home.own_tasks / "mail").exists()
    kept = task_for_data(home, data, "mail")
    with pytest.raises(type(failure)):
        _train(home, "mail", data, (None, None), quick=True, seed=None)
    assert kept.folder.train_file.exists(), "it was there before"


def test_rows_not_used_are_in_report_and_figures_of_a_task_made_at_once(
    settings: Settings, folder: TaskFolder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_tiny_base(settings: Settings, made: TaskFolder, *args: Path | None, **options: bool) -> Trained:
        small = made.task.model_copy(update={"base": folder.task.base, "max_length": 32})
        return train(settings, TaskFolder(small, made.folder), *args, **{**options, "shown": False})  # type: ignore[arg-type]

    monkeypatch.setattr("training.train.train", on_tiny_base)
    trained = _train(settings, "at-once", data, (None, None), quick=True, seed=None)
    assert [(fault.line, fault.msg[:13]) for fault in trained.faults] == [(127, "text is empty")]
    assert read_metrics(version_folder("at-once", trained.manifest.version))["rows"]["not_used"] == 1
    page = trained.report.read_text(encoding="utf-8")
    assert "1 rows of" in page
    assert str(data) in page


def test_quotes_and_line_breaks_in_labels_survive_the_declaration(home: Settings, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    write_rows(path, [Row("one text", 'say "hi"\\'), Row("another", "naïve 😀 – label")])
    made = new_task(home, "odd", path)
    assert read_task(made.folder.folder).label_names == sorted(['say "hi"\\', "naïve 😀 – label"])


def test_names(home: Settings, data: Path, tmp_path: Path) -> None:
    assert name_from(Path("x/Bank 77_train.csv")) == "bank-77-train"
    with pytest.raises(TaskError, match="--task"):
        name_from(Path("77.csv"))
    with pytest.raises(TaskError, match="is no task name"):
        new_task(home, "Not A Name", data)
    (tmp_path / "one.csv").write_text("text,label\na,b\nc,b\n")
    with pytest.raises(DataError, match="expected at least 2"):
        new_task(home, "one", tmp_path / "one.csv")


def test_four_rows_are_enough(home: Settings, folder: TaskFolder, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    write_rows(
        path, [Row("where is it", "a"), Row("money back", "b"), Row("cannot sign in", "b"), Row("late box", "a")]
    )
    made = task_for_data(home, path)
    labels = made.folder.task.labels
    task = folder.task.model_copy(update={"name": "few", "labels": labels})
    trained = train(home, TaskFolder(task, made.folder.folder), shown=False)
    assert trained.manifest.temperature == 1.0
    assert trained.manifest.summary == {}
    assert "n/a" in trained.report.read_text(encoding="utf-8")
