"""The demo's messages: labelled as the tasks are, none of them known to the models, and varied as real ones are."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import Redactor
from core.text import text_fault, text_hash
from regrade.demo.messages import Message, fill, mistype, read_messages, starter_messages, stream
from regrade.demo.people import ANNOTATORS, NEAR, Person, say
from tasks.catalogue import STARTERS
from tasks.declaration import OUT_OF_SCOPE, read_task

TASKS = sorted(path.parent.name for path in STARTERS.glob("*/task.toml"))
UNSEEN = Path(__file__).parents[2] / "benchmarks" / "unseen"


def messages_of(task: str) -> list[Message]:
    file = starter_messages(task)
    assert file is not None
    messages, faults = read_messages(file, read_task(STARTERS / task).label_names)
    assert not faults
    return messages


@pytest.mark.parametrize("task", TASKS)
def test_every_label_of_a_starter_has_easy_and_hard_messages(task: str) -> None:
    messages = messages_of(task)
    labels = [*read_task(STARTERS / task).label_names, OUT_OF_SCOPE]
    assert len(messages) >= 200
    assert len({text_hash(one.text) for one in messages}) == len(messages)
    for hard in (False, True):
        assert {one.label for one in messages if one.hard is hard} == set(labels)


@pytest.mark.parametrize("task", TASKS)
def test_no_message_is_known_to_the_models(task: str) -> None:
    files = [STARTERS / task / "train.csv", STARTERS / task / "gold.csv", UNSEEN / f"{task}.csv"]
    known = set()
    for file in files:
        with file.open(encoding="utf-8", newline="") as opened:
            known |= {text_hash(row["text"]) for row in csv.DictReader(opened)}
    sent = [fill(one.text, Random(3)) for one in messages_of(task)]
    assert not [text for text in sent if text_hash(text) in known]


@pytest.mark.parametrize("task", TASKS)
def test_a_stream_has_everything_and_some_of_it_again(task: str) -> None:
    messages = messages_of(task)
    sent = list(islice(stream(messages, Random(5)), len(messages) * 2))
    assert all(text_fault(one.text) is None and "{" not in one.text for one in sent)
    assert max(Counter(one.text for one in sent).values()) > 1
    assert {one.label for one in sent} == {one.label for one in messages}
    assert sent == list(islice(stream(messages, Random(5)), len(messages) * 2))


def test_some_messages_hold_what_is_redacted() -> None:
    redact = Redactor()
    sent = list(islice(stream(messages_of("support-intent"), Random(1)), 400))
    found = " ".join(redact(one.text) for one in sent)
    assert all(mark in found for mark in ("<EMAIL>", "<PHONE>", "<ORDER>"))


def test_messages_of_ones_own_are_sent_as_they_are() -> None:
    mine = [Message("an {item} of mine", "a", hard=False), Message("another", "b", hard=False)]
    assert {one.text for one in islice(stream(mine, Random(2), vary=False), 20)} == {one.text for one in mine}


@given(st.text(min_size=1), st.randoms(use_true_random=False))
def test_a_slip_of_the_keys_leaves_a_text_readable(text: str, random: Random) -> None:
    assert len(mistype(text, random)) <= len(text.lower()) + 1


def test_people_differ_in_how_often_they_are_wrong() -> None:
    labels = ["a", "b", "c"]
    easy, hard = Message("x", "a", hard=False), Message("x", "a", hard=True)

    def errors(person: Person, message: Message) -> int:
        random = Random(11)
        said = [say(person, message, ["b", "a"], labels, random) for _ in range(2000)]
        return sum(one.get("label", "a") != "a" for one in said)

    careful, average, hasty = ANNOTATORS
    assert errors(careful, easy) < errors(average, easy) < errors(hasty, easy)
    assert all(errors(one, easy) < errors(one, hard) for one in ANNOTATORS)


def test_an_answer_is_one_that_the_service_takes() -> None:
    random = Random(4)
    for message in (None, *messages_of("finance-sentiment")):
        said = say(ANNOTATORS[0], message, ["positive"], ["positive", "neutral", "negative"], random)
        assert sum(kind in said for kind in ("label", "out_of_scope", "skip", "flag")) == 1
    assert say(ANNOTATORS[0], None, [], ["positive"], random) == {"skip": True}


def test_labels_taken_for_each_other_are_labels_of_the_starters() -> None:
    known = {name for task in TASKS for name in read_task(STARTERS / task).label_names}
    assert {*NEAR, *(one for some in NEAR.values() for one in some)} <= known
