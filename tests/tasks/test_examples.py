"""Training rows as examples of labels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from tasks.examples import StarterTexts

LABELS = [{"id": 1, "name": "parcel"}, {"id": 2, "name": "refund"}]


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    return TaskFolder(Task.model_validate({"name": "mail", "labels": LABELS}), tmp_path)


def write(folder: TaskFolder, content: str, stamp: int) -> None:
    folder.train_file.write_text(content, encoding="utf-8")
    os.utime(folder.train_file, (stamp, stamp))


def test_texts_of_a_label_are_redacted_and_stand_once(folder: TaskFolder) -> None:
    write(folder, "text,label\nlost,parcel\nlost,parcel\ncall someone@example.org,parcel\nmoney,refund\n  ,parcel\n", 1)
    starters = StarterTexts()
    assert starters.labelled(folder, "parcel") == ["lost", "call <EMAIL>"]
    assert starters.labelled(folder, "refund") == ["money"]
    assert list(starters.labelled(folder, "password")) == []


def test_a_changed_file_is_read_again(folder: TaskFolder) -> None:
    starters = StarterTexts()
    assert list(starters.labelled(folder, "parcel")) == []
    write(folder, "text,label\nlost,parcel\nfound,parcel\n", 1)
    assert starters.labelled(folder, "parcel") == ["lost", "found"]
    write(folder, "text,label\nfound,parcel\n", 2)
    assert starters.labelled(folder, "parcel") == ["found"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b'text,label\n"open,parcel\n'])
def test_a_file_that_cannot_be_used_has_no_examples(folder: TaskFolder, content: bytes) -> None:
    folder.train_file.write_bytes(content)
    assert list(StarterTexts().labelled(folder, "parcel")) == []


def test_a_few_of_many_are_kept(folder: TaskFolder) -> None:
    write(folder, "text,label\n" + "".join(f"text {number},parcel\n" for number in range(100)), 1)
    assert len(StarterTexts().labelled(folder, "parcel")) == 20
