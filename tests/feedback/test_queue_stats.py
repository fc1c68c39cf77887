"""How a queue stands, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from feedback.answers import Said, undo
from feedback.queue import claim
from feedback.schema import answers
from feedback.stats import queue_stats
from feedback.store import Store
from tests.support.queue import ask, expire_leases, make_task, person, reply, say, take

ANN, BEN = person("ann"), person("ben")
BOSS = person("boss", "reviewer")


def test_an_empty_queue(store: Store) -> None:
    stats = queue_stats(store, make_task())
    assert (stats.open, stats.leased, stats.resolved, stats.oldest, stats.agreement) == (0, 0, 0, None, None)
    assert (stats.answers_an_hour, stats.answers_by_role, stats.lease_expiries, stats.by_reason) == (0, {}, 0, {})


def test_what_is_open_held_and_resolved(store: Store) -> None:
    task = make_task()
    old = datetime.now(UTC) - timedelta(days=2)
    ask(store, task, "first", reason="audit", created_at=old, urgency=0.0)
    ask(store, task, "a", "b", "c", urgency=1.0, created_at=old - timedelta(days=1))
    ask(store, task, "check", reason="check", check_value=1)
    ask(store, make_task(name="post"), "elsewhere")
    reply(store, task, ANN, "refund")
    answered = reply(store, task, BOSS, "refund")
    undo(store, {task.name: task}, BOSS, _item(store, answered.answer_id), answered.answer_id)
    take(store, task, ANN)
    stats = queue_stats(store, task)
    assert (stats.open, stats.leased, stats.resolved) == (3, 2, 1)
    assert stats.by_reason == {"open": {"audit": 1, "low_confidence": 2}, "resolved": {"low_confidence": 1}}
    assert stats.oldest == old
    assert stats.answers_an_hour == 2
    assert stats.answers_by_role == {"annotator": 1, "reviewer": 1}
    expire_leases(store)
    assert queue_stats(store, task).leased == 0
    claim(store, task, BEN, 1, label="nothing")
    assert queue_stats(store, task).lease_expiries == 2


def _item(store: Store, answer_id: str) -> str:
    with store.read() as connection:
        return str(connection.execute(select(answers.c.item_id).where(answers.c.id == answer_id)).scalar_one())


def test_agreement_is_that_of_what_was_resolved_last(store: Store) -> None:
    task = make_task("crowd", answers=2, most_answers=2, aggregation="majority")
    same, also, split = ask(store, task, "same", "also", "split")
    says = {same: ("parcel", "parcel"), also: ("refund", "refund"), split: ("parcel", "refund")}
    for turn, who in enumerate((ANN, BEN)):
        for claimed in claim(store, task, who, 3):
            say(store, task, who, claimed, says[claimed.item_id][turn])
    assert queue_stats(store, task).agreement == pytest.approx(1.0)
    reply(store, task, BOSS, Said("label", "parcel"))
    # Seven values: parcel four times, refund three; of the pairs in the third item, two thirds differ.
    assert queue_stats(store, task).agreement == pytest.approx(0.5)
