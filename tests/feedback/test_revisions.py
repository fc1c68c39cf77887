"""Tasks change while people work: what becomes of items and answers, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.errors import TaskError
from feedback.answers import Said
from feedback.mappings import read_maps
from feedback.queue import claim
from feedback.revisions import note_revision
from feedback.schema import answers, resolutions
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, faults_of_counts, item_row, make_task, person, reply, say, slot_states, take

ANN, BEN, CAT, DAN = map(person, ("ann", "ben", "cat", "dan"))
EXPERT = make_task()
CROWD = make_task("crowd", aggregation="majority")

RENAMED = [{"id": 1, "name": "delivery"}, {"id": 2, "name": "refund"}, {"id": 3, "name": "password"}]
SPLIT = [
    {"id": 1, "name": "parcel"},
    {"id": 4, "name": "refund late", "replaces": [2]},
    {"id": 5, "name": "refund wrong", "replaces": [2]},
    {"id": 3, "name": "password"},
]
MERGED = [{"id": 6, "name": "order", "replaces": [1, 2]}, {"id": 3, "name": "password"}]


def revised(task: Task, labels: list[dict[str, Any]], revision: int = 2) -> Task:
    return Task.model_validate(task.model_dump() | {"labels": labels, "revision": revision})


def test_labels_cannot_change_under_the_same_revision(store: Store) -> None:
    note_revision(store, EXPERT)
    note_revision(store, EXPERT)
    with pytest.raises(TaskError, match="raise the revision to 2"):
        note_revision(store, revised(EXPERT, RENAMED, 1))
    described = [{"id": one.id, "name": one.name, "description": "more"} for one in EXPERT.labels]
    note_revision(store, revised(EXPERT, described, 1))
    note_revision(store, revised(EXPERT, RENAMED))


def test_a_resolved_label_that_was_split_is_asked_again_by_anybody(store: Store) -> None:
    note_revision(store, EXPERT)
    kept, lost = ask(store, EXPERT, "kept", "lost")
    for claimed in claim(store, EXPERT, ANN, 2):
        say(store, EXPERT, ANN, claimed, "parcel" if claimed.item_id == kept else "refund")
    task = revised(EXPERT, SPLIT)
    note_revision(store, task)
    note_revision(store, task)
    assert item_row(store, kept).state == "resolved"
    row = item_row(store, lost)
    assert (row.state, row.round, row.resolution_id, row.reason) == ("open", 2, None, "low_confidence")
    assert (row.revision, row.open_key is not None, slot_states(store, lost)) == (2, True, ["free"])
    assert faults_of_counts(store) == []
    assert reply(store, task, ANN, "refund late").resolution is not None
    with store.read() as connection:
        said = connection.execute(
            select(answers.c.value, answers.c.revision, answers.c.round).order_by(answers.c.id)
        ).all()
        final = connection.execute(
            select(resolutions.c.value).where(resolutions.c.id == item_row(store, lost).resolution_id)
        )
        assert final.scalar_one() == 4
    assert sorted(tuple(one) for one in said) == [(1, 1, 1), (2, 1, 1), (4, 2, 2)]
    assert faults_of_counts(store) == []


def test_open_items_go_on_under_todays_names(store: Store) -> None:
    note_revision(store, CROWD)
    (item,) = ask(store, CROWD, "text")
    reply(store, CROWD, ANN, "parcel")
    task = revised(CROWD, RENAMED)
    note_revision(store, task)
    row = item_row(store, item)
    assert (row.revision, row.round) == (2, 1)
    claimed = claim(store, task, BEN, 1, label="delivery")[0]
    assert claimed.suggestions == (("delivery", 0.6), ("refund", 0.3))
    say(store, task, BEN, claimed, "delivery")
    answered = reply(store, task, person("boss", "reviewer"), "delivery")
    assert answered.resolution is not None
    assert (answered.resolution.value, answered.resolution.confirms) == (1, True)


def test_votes_for_merged_labels_count_together(store: Store) -> None:
    note_revision(store, CROWD)
    (item,) = ask(store, CROWD, "text")
    reply(store, CROWD, ANN, "parcel")
    reply(store, CROWD, BEN, "refund")
    task = revised(CROWD, MERGED)
    note_revision(store, task)
    answered = reply(store, task, CAT, "order")
    assert answered.resolution is not None
    assert answered.resolution.value == 6
    with store.read() as connection:
        assert read_maps(connection, task) == {1: {1: 6, 2: 6, 3: 3}}
    assert item_row(store, item).state == "resolved"


def test_a_vote_for_a_split_label_lets_the_item_be_asked_again(store: Store) -> None:
    note_revision(store, CROWD)
    touched, untouched = ask(store, CROWD, "touched", "untouched")
    for claimed in claim(store, CROWD, ANN, 2):
        say(store, CROWD, ANN, claimed, "refund" if claimed.item_id == touched else "parcel")
    held = next(one for one in claim(store, CROWD, BEN, 2) if one.item_id == touched)
    task = revised(CROWD, SPLIT)
    note_revision(store, task)
    assert (item_row(store, touched).round, item_row(store, untouched).round) == (2, 1)
    assert slot_states(store, touched) == ["free"] * 3
    assert not say(store, task, BEN, held, "parcel").counted
    assert {one.item_id for one in claim(store, task, ANN, 5)} == {touched}
    assert faults_of_counts(store) == []


def test_an_answer_is_taken_in_the_words_of_the_present_revision(store: Store) -> None:
    note_revision(store, CROWD)
    ask(store, CROWD, "text")
    claimed = take(store, CROWD, ANN)
    task = revised(CROWD, RENAMED)
    note_revision(store, task)
    assert say(store, task, ANN, claimed, "delivery").counted


def test_several_labels_are_asked_again_when_one_is_uncertain(store: Store) -> None:
    several = make_task(kind="multi_label")
    note_revision(store, several)
    kept, lost = ask(store, several, "kept", "lost")
    for claimed in claim(store, several, ANN, 2):
        say(
            store,
            several,
            ANN,
            claimed,
            Said("labels", ["parcel"] if claimed.item_id == kept else ["parcel", "refund"]),
        )
    note_revision(store, revised(several, SPLIT))
    assert (item_row(store, kept).state, item_row(store, lost).state) == ("resolved", "open")


def test_a_revision_that_was_interrupted_is_finished_by_the_next_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_revision(store, EXPERT)
    many = ask(store, EXPERT, *(f"text {number}" for number in range(12)))
    for claimed in claim(store, EXPERT, ANN, 12):
        say(store, EXPERT, ANN, claimed, "refund")
    task = revised(EXPERT, SPLIT)
    monkeypatch.setattr("feedback.revisions._BATCH", 5)
    with monkeypatch.context() as broken:
        broken.setattr("feedback.revisions._record", _fail)
        with pytest.raises(RuntimeError):
            note_revision(store, task)
    note_revision(store, task)
    rows = [item_row(store, one) for one in many]
    assert {(row.state, row.round) for row in rows} == {("open", 2)}
    assert faults_of_counts(store) == []


def _fail(*_: object) -> None:
    raise RuntimeError("the power went off")
