"""What people are told of their own work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from core.ids import first_id
from feedback.answers import Said, undo
from feedback.own_answers import OwnAnswers, own_answers
from feedback.queue import claim
from feedback.schema import answers, undoings
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, make_task, person, reply, say

ANN, BOB = person("ann"), person("bob")


def mine(store: Store, task: Task, since: datetime | None = None) -> OwnAnswers:
    return own_answers(store, task, ANN, since)


def answer_checks(store: Store, task: Task, known: list[int], said: str) -> None:
    """Let Ann answer a check item for each of `known`, saying the same of all."""
    for number, value in enumerate(known):
        ask(store, task, f"check {len(known)} {number}", reason="check", check_value=value, suggestions=[])
    ask(store, task, *(f"ordinary {len(known)} {number}" for number in range(len(known))))
    while held := claim(store, task, ANN, 50):
        for one in held:
            say(store, task, ANN, one, said)


def age_answers(store: Store) -> None:
    """Move every answer an hour back, in their order."""
    with store.write() as connection:
        ids = connection.scalars(select(answers.c.id).order_by(answers.c.id)).all()
        ago = datetime.now(UTC) - timedelta(hours=1)
        for number, one in enumerate(ids):
            aged = first_id(ago + timedelta(seconds=number))
            connection.execute(update(answers).where(answers.c.id == one).values(id=aged))


def test_answers_skips_and_flags_are_counted_and_others_and_undone_ones_are_not(store: Store) -> None:
    task = make_task("crowd", answers=2)
    ask(store, task, *(f"text {number}" for number in range(5)))
    taken_back = reply(store, task, ANN, "parcel")
    for said in ("parcel", Said("out_of_scope"), Said("skip"), Said("flag", "odd")):
        reply(store, task, ANN, said)
    reply(store, task, BOB, "refund")
    done = mine(store, task)
    assert (done.answers, done.skips, done.flags) == (3, 1, 1)
    assert done.median_seconds is not None
    assert done.median_seconds >= 0
    item = _item_of(store, taken_back.answer_id)
    undo(store, {task.name: task}, ANN, item, taken_back.answer_id)
    assert mine(store, task).answers == 2
    assert mine(store, make_task(name="other")) == OwnAnswers(done.since, 0, 0, 0, None, 0, 0, None)


def _item_of(store: Store, answer_id: str) -> str:
    with store.read() as connection:
        rows = connection.execute(answers.select().where(answers.c.id == answer_id))
        return str(rows.one().item_id)


def test_only_what_was_said_since_is_counted(store: Store) -> None:
    task = make_task()
    ask(store, task, "one", "two")
    old = reply(store, task, ANN, "parcel")
    reply(store, task, ANN, "parcel")
    now = datetime.now(UTC)
    with store.write() as connection:
        ago = first_id(now - timedelta(days=3))
        connection.execute(update(answers).where(answers.c.id == old.answer_id).values(id=ago))
    assert mine(store, task, now - timedelta(days=2)).answers == 1
    assert mine(store, task, now - timedelta(days=4)).answers == 2
    assert mine(store, task, now + timedelta(days=1)).answers == 0
    assert mine(store, task, now - timedelta(days=400)).since > now - timedelta(days=31)


def test_check_items_are_told_of_five_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.queue._CHANCE.random", lambda: 0.0)
    task = make_task(check_rate=0.5)
    answer_checks(store, task, [1, 1, 1, 2], "parcel")
    assert (mine(store, task).checks, mine(store, task).right, mine(store, task).agreement) == (0, 0, None)
    answer_checks(store, task, [1, 2], "parcel")
    age_answers(store)
    done = mine(store, task)
    assert done.checks == 5
    assert done.right in {3, 4}
    assert done.agreement == done.right / 5
    hidden = mine(store, make_task(check_rate=0.5, show_checks=False))
    assert (hidden.checks, hidden.right, hidden.agreement) == (None, None, None)


def test_looking_after_an_answer_or_its_undo_tells_nothing_of_check_items(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback.queue._CHANCE.random", lambda: 0.0)
    monkeypatch.setattr("feedback.own_answers._STILL_S", 10**6)  # no moment is full while the test runs
    task = make_task(check_rate=0.5)
    answer_checks(store, task, [1] * 5, "parcel")
    assert mine(store, task).checks == 0
    monkeypatch.setattr("feedback.own_answers._STILL_S", 300)
    age_answers(store)
    assert mine(store, task).checks == 5
    with store.read() as connection:
        given = connection.execute(select(answers).where(answers.c.counted == "check")).first()
    assert given is not None
    with store.write() as connection:
        tomorrow = datetime.now(UTC) + timedelta(days=1)  # after the last full five minutes, whenever this runs
        row = {"answer_id": given.id, "annotator": "ann", "created_at": tomorrow}
        connection.execute(undoings.insert(), row)
    assert mine(store, task).checks == 5
