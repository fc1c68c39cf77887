"""`regrade predict` and `regrade evaluate` on a real, tiny model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

LABELS = {"parcel", "refund", "password"}


def test_predicts_as_json(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    done = regrade(
        "predict", "tiny-intent", "where is my parcel", "refund my money", "--format", "json", "--top-k", "2"
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["task"] == "tiny-intent"
    assert said["model_version"] == tiny_versions[0]
    assert [prediction["line"] for prediction in said["predictions"]] == [1, 2]
    for prediction in said["predictions"]:
        first, second = prediction["scores"]
        assert prediction["label"] == first["label"] in LABELS
        assert prediction["confidence"] == first["score"] >= second["score"]
        assert 0 <= prediction["out_of_scope"] <= 1


def test_reads_standard_input_and_reports_bad_lines(regrade: Regrade) -> None:
    given = "where is my parcel\n\n退款 please\r\n".encode() + b"\xff\xfe\n" + b"a\x00b"
    done = regrade("predict", "tiny-intent", "-", "--format", "csv", given=given)
    assert done.returncode == 1
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["line"], row["text"]) for row in found] == [("1", "where is my parcel"), ("3", "退款 please")]
    assert all(words in done.stderr for words in ("line 2: text is empty", "line 4: text is not UTF-8", "line 5:"))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "log"])
def test_reads_files(regrade: Regrade, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"messages.{ending}"
    contents = {
        "csv": 'id,message\n1,"a [bold] parcel"\n2,refund :smile:\n',
        "jsonl": '{"id": 1, "message": "a [bold] parcel"}\n{"id": 2, "message": "refund :smile:"}\n',
        "log": "a [bold] parcel\nrefund :smile:\n",
    }
    path.write_text(contents[ending], encoding="utf-8")
    done = regrade("predict", "tiny-intent", "--file", path)
    assert done.returncode == 0, done.stderr
    assert "a [bold] parcel" in done.stdout
    assert "refund :smile:" in done.stdout


def test_nothing_to_predict_is_a_failure(regrade: Regrade) -> None:
    done = regrade("predict", "tiny-intent", given=b"")
    assert done.returncode == 1
    assert "is empty" in done.stderr


def test_another_version_can_be_asked(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    done = regrade("predict", "tiny-intent", "hello", "--version", tiny_versions[1], "--format", "json")
    assert json.loads(done.stdout)["model_version"] == tiny_versions[1]


def test_evaluates(regrade: Regrade, home: Path, rows: Path) -> None:
    train = home / "tasks" / "tiny-intent" / "train.csv"
    done = regrade("evaluate", "tiny-intent", "--data", rows, "--train", train, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["n"] == 3
    assert 0 <= said["accuracy"] <= 1
    assert said["labels"].keys() == LABELS
    assert {"macro_f1", "ece", "version"} <= said.keys()
    assert said["without_twins"]["n"] == 0
    assert said["rows_not_used"] == 3
    assert said["out_of_scope"] is None
    assert all(f"line {line}:" in done.stderr for line in (5, 6, 7))
    assert "unheard-of" in done.stderr


def test_evaluation_prints_a_table_and_agrees_with_prediction(regrade: Regrade, home: Path) -> None:
    gold = home / "tasks" / "tiny-intent" / "gold.csv"
    with gold.open(encoding="utf-8", newline="") as file:
        labelled = [row for row in csv.DictReader(file) if row["label"] in LABELS]
    texts = "\n".join(row["text"] for row in labelled).encode()
    answers = json.loads(regrade("predict", "tiny-intent", "--format", "json", given=texts).stdout)["predictions"]
    right = [answer["label"] == row["label"] for answer, row in zip(answers, labelled, strict=True)]
    done = regrade("evaluate", "tiny-intent", "--data", gold)
    assert done.returncode == 0, done.stderr
    assert f"{sum(right) / len(right):.2%}" in done.stdout
    assert all(words in done.stdout for words in ("macro-F1", "ECE", *LABELS))


def test_a_file_without_usable_rows_is_a_failure(regrade: Regrade, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("text,label\nhello,greeting\n", encoding="utf-8")
    done = regrade("evaluate", "tiny-intent", "--data", path)
    assert done.returncode == 1
    assert "parcel" in done.stderr
