from __future__ import annotations

import pytest

from core.errors import DataError
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.clean import clean_rows, snapshot_hash
from training.rows import Row
from training.sources import gather


def test_rows_are_redacted_and_what_cannot_train_is_reported(task: Task) -> None:
    rows = [
        Row("write to me at jo@example.com about the refund", "refund", 2),
        Row("Where is my PARCEL", "parcel", 3),
        Row("where  is my parcel", "parcel", 4),
        Row("this one nobody agrees on", "refund", 5),
        Row("this one nobody agrees on", "parcel", 6),
        Row("sing me a song", "out_of_scope", 7),
        Row("hello", "greeting", 8),
        Row("i lost my password", "password", 9),
        Row("can you please reset my password today", "password", 10),
    ]
    gold = [Row("I lost my password", "password"), Row("can you please reset my password, today?", "password")]
    cleaned = clean_rows(rows, task, gold)
    assert [row.text for row in cleaned.rows] == ["write to me at <EMAIL> about the refund", "Where is my PARCEL"]
    assert [row.text for row in cleaned.outside] == ["sing me a song"]
    assert {fault.line: fault.msg for fault in cleaned.aside} == {
        4: "copy of line 3",
        5: "same text labelled 'parcel' and 'refund'; decide which is right",
        6: "same text labelled 'parcel' and 'refund'; decide which is right",
        8: "label 'greeting' is not one of tiny-intent's; correct or declare it",
        9: "copy of a gold row; kept for measuring",
        10: "near-copy of a gold row; kept for measuring",
    }


def test_the_snapshot_hash_is_of_rows_whatever_their_order() -> None:
    one, other = Row("a", "x", 1), Row("b", "y", 2)
    assert snapshot_hash([one, other]) == snapshot_hash([Row("b", "y", 9), one])
    assert snapshot_hash([one]) != snapshot_hash([Row("a", "y", 1)])


def test_a_task_without_usable_rows_says_why(folder: TaskFolder, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data") / "bad.csv"
    data.write_text("text,label\nhello,greeting\nbye,farewell\n")
    with pytest.raises(DataError, match=r"0 of tiny-intent's labels.*line 2: label 'greeting'"):
        gather(folder, data)
