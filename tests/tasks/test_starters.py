"""The starter data: enough of it, clean, without near-copies, and its gold part apart."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from core.redaction import Redactor
from core.text import text_fault, text_hash
from tasks.catalogue import STARTERS, TaskFolder
from tasks.declaration import OUT_OF_SCOPE, read_task
from training.near import groups

LEAST = {"support-intent": 45, "finance-sentiment": 400}
NEAR_COPY_SHARE = 0.02
"""Share of a task's texts that may have a near-copy: people do ask the same thing in nearly the same words."""

Rows = list[tuple[str, str]]


def read(folder: TaskFolder, gold: bool) -> Rows:
    with (folder.gold_file if gold else folder.train_file).open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


@pytest.fixture(params=sorted(LEAST))
def starter(request: pytest.FixtureRequest) -> TaskFolder:
    return TaskFolder(read_task(STARTERS / request.param), STARTERS / request.param)


def test_every_label_has_enough_distinct_texts(starter: TaskFolder) -> None:
    rows = read(starter, gold=False) + read(starter, gold=True)
    counts = Counter(label for _, label in {(text_hash(text), label) for text, label in rows})
    assert set(counts) - {OUT_OF_SCOPE} == set(starter.task.label_names)
    assert min(counts[name] for name in starter.task.label_names) >= LEAST[starter.task.name]
    if starter.task.name == "support-intent":
        assert counts[OUT_OF_SCOPE] >= 200


def test_gold_is_a_fifth_of_every_label_and_apart(starter: TaskFolder) -> None:
    train, gold = read(starter, gold=False), read(starter, gold=True)
    assert not {text_hash(text) for text, _ in train} & {text_hash(text) for text, _ in gold}
    in_train, in_gold = Counter(label for _, label in train), Counter(label for _, label in gold)
    for label in in_train:
        assert 0.17 <= in_gold[label] / (in_gold[label] + in_train[label]) <= 0.23


def test_near_copies_are_rare_and_never_across_gold(starter: TaskFolder) -> None:
    train, gold = read(starter, gold=False), read(starter, gold=True)
    redact = Redactor(starter.task.redact)
    found = groups([redact(text) for text, _ in train + gold]).tolist()
    sizes = Counter(found)
    assert sum(size for size in sizes.values() if size > 1) <= NEAR_COPY_SHARE * len(found)
    assert set(found[: len(train)]).isdisjoint(found[len(train) :])


def test_every_text_is_usable_and_once(starter: TaskFolder) -> None:
    rows = read(starter, gold=False) + read(starter, gold=True)
    assert [text for text, _ in rows if text_fault(text)] == []
    assert [count for count in Counter(text_hash(text) for text, _ in rows).values() if count > 1] == []


def test_every_label_is_described_and_in_the_guideline(starter: TaskFolder) -> None:
    assert all(label.description for label in starter.task.labels)
    described = [name for name in starter.task.label_names if name in starter.guideline]
    assert len(described) >= min(3, len(starter.task.labels))
