"""What is known of annotators: check items, trust, and what resolved items teach."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from feedback.annotators import AnnotatorReport, annotator_report
from feedback.answers import Said
from feedback.facts import OUTSIDE, Quality, Value
from feedback.learned import refresh_quality
from feedback.quality import note_check, read_quality
from feedback.schema import annotators, audit, outbox
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, item_row, make_task, person, reply, say, take


def check(store: Store, task: Task, annotator: str, *pairs: tuple[Value, Value], undone: bool = False) -> None:
    for known, given in pairs:
        with store.write() as connection:
            note_check(store, connection, task, annotator, known, given, undone=undone)


def quality_of(store: Store, task: Task, annotator: str) -> Quality:
    with store.read() as connection:
        return read_quality(connection, task.name, [annotator])[annotator]


def report_of(store: Store, task: Task, annotator: str) -> AnnotatorReport:
    return next(one for one in annotator_report(store, task) if one.person == annotator)


def test_nothing_is_known_of_newcomers(store: Store) -> None:
    with store.read() as connection:
        assert read_quality(connection, "mail", ["ann", "bob"]) == {}
    assert annotator_report(store, make_task()) == []


def test_checks_are_counted_by_label(store: Store) -> None:
    task = make_task("crowd")
    check(store, task, "ann", (1, 1), (1, 2), (2, 2), (3, OUTSIDE), (OUTSIDE, OUTSIDE))
    check(store, task, "bob", (1, 1))
    found = quality_of(store, task, "ann")
    assert found.confusion == {1: {1: 1, 2: 1}, 2: {2: 1}, 3: {OUTSIDE: 1}, OUTSIDE: {OUTSIDE: 1}}
    assert found.trusted
    assert found.weight < quality_of(store, task, "bob").weight
    shown = report_of(store, task, "ann")
    assert (shown.checks, shown.right, shown.accuracy) == (5, 3, 0.6)
    assert shown.confusion == {
        "parcel": {"parcel": 1, "refund": 1},
        "refund": {"refund": 1},
        "password": {"out_of_scope": 1},
        "out_of_scope": {"out_of_scope": 1},
    }


def test_a_check_that_is_taken_back_is_forgotten(store: Store) -> None:
    task = make_task("crowd")
    check(store, task, "ann", (1, 1), (1, 2))
    before = quality_of(store, task, "ann").weight
    check(store, task, "ann", (1, 2), undone=True)
    shown = report_of(store, task, "ann")
    assert (shown.checks, shown.right, shown.confusion) == (1, 1, {"parcel": {"parcel": 1}})
    assert quality_of(store, task, "ann").weight > before


def test_sets_are_right_as_a_whole_and_counted_by_label(store: Store) -> None:
    task = make_task("crowd", kind="multi_label")
    check(store, task, "ann", ((1, 2), (1, 2)), ((1,), (1, 3)), ((2,), ()), ((), ()))
    shown = report_of(store, task, "ann")
    assert (shown.checks, shown.right) == (4, 2)
    assert shown.confusion == {"parcel": {"parcel": 2}, "refund": {"refund": 1, "": 1}, "": {"password": 1}}


def test_answers_stop_counting_below_the_floor_and_count_again_above_it(store: Store) -> None:
    task = make_task("crowd", trust_floor=0.6, trust_after=6)
    check(store, task, "ann", *[(1, 2)] * 5)
    assert quality_of(store, task, "ann").trusted  # too few to tell
    check(store, task, "ann", (1, 2))
    assert not quality_of(store, task, "ann").trusted
    check(store, task, "ann", *[(1, 1)] * 8)
    assert quality_of(store, task, "ann").trusted
    with store.read() as connection:
        told = connection.execute(select(outbox.c.event, outbox.c.task, outbox.c.payload).order_by(outbox.c.id)).all()
        noted = connection.execute(select(audit.c.actor, audit.c.action, audit.c.object).order_by(audit.c.id)).all()
    assert [(row.event, row.task, row.payload["alert"]) for row in told] == [
        ("alert.raised", "mail", "annotator.untrusted"),
        ("alert.raised", "mail", "annotator.trusted"),
    ]
    assert told[0].payload == {
        "alert": "annotator.untrusted",
        "annotator": "ann",
        "accuracy": pytest.approx(4 / 11, abs=1e-4),
        "checks": 6,
    }
    assert [tuple(row) for row in noted] == [
        ("regrade", "annotator.untrusted", "ann"),
        ("regrade", "annotator.trusted", "ann"),
    ]


def test_answers_of_somebody_who_lost_trust_do_not_resolve_anything(store: Store) -> None:
    task = make_task("expert", trust_after=1, trust_floor=0.9)
    (item,) = ask(store, task, "where is my parcel")
    check(store, task, "ann", (1, 2))
    reply(store, task, person("ann"), "parcel")
    assert item_row(store, item).state == "open"
    reply(store, task, person("bob"), "refund")
    assert item_row(store, item).state == "resolved"


def crowd_day(store: Store, task: Task, texts: int) -> None:
    """Two good annotators, and one who calls everything `parcel`, answer texts whose labels take turns."""
    names = ("parcel", "refund")
    numbers = {item: number for number, item in enumerate(ask(store, task, *(f"text {n}" for n in range(texts))))}
    for who in ("ann", "bob", "eve"):
        for _ in range(texts):
            claimed = take(store, task, person(who))
            truth = names[numbers[claimed.item_id] % 2]
            say(store, task, person(who), claimed, "parcel" if who == "eve" else truth)


def test_resolved_items_teach_who_is_good(store: Store) -> None:
    task = make_task("crowd", answers=3, most_answers=3, aggregation="majority")
    assert refresh_quality(store, task) == 0
    crowd_day(store, task, 12)
    assert refresh_quality(store, task) == 3
    ann, eve = quality_of(store, task, "ann"), quality_of(store, task, "eve")
    assert ann.weight > 0.85
    assert eve.weight < 0.75
    assert eve.confusion[2][1] == pytest.approx(6, abs=0.5)
    assert 2 not in eve.confusion[2]
    assert eve.trusted  # only check items decide on that
    shown = report_of(store, task, "eve")
    assert (shown.answers, shown.checks, shown.accuracy, shown.confusion) == (12, 0, None, {})
    refresh_quality(store, task)  # estimated again, not added
    assert quality_of(store, task, "eve").confusion[2][1] == pytest.approx(6, abs=0.5)


def test_checks_and_resolved_items_are_kept_apart_and_used_together(store: Store) -> None:
    task = make_task("crowd", answers=3, most_answers=3, aggregation="majority")
    check(store, task, "eve", (2, 2))
    crowd_day(store, task, 6)
    refresh_quality(store, task)
    check(store, task, "eve", (2, 2))
    assert quality_of(store, task, "eve").confusion[2] == {2: 2, 1: pytest.approx(3, abs=0.5)}
    with store.read() as connection:
        row = connection.execute(select(annotators).where(annotators.c.person == "eve")).one()
    assert (row.checks, row.confusion) == (2, {"2": {"2": 2}})


def test_what_an_expert_settled_is_known(store: Store) -> None:
    task = make_task("combined", answers=2, most_answers=2)
    for number in range(6):
        ask(store, task, f"text {number}")
        reply(store, task, person("ann"), "refund")
        reply(store, task, person("eve"), "parcel")
        assert reply(store, task, person("mia", "reviewer"), "refund").resolution is not None
    assert refresh_quality(store, task) == 2
    assert quality_of(store, task, "ann").confusion == {2: {2: pytest.approx(6)}}
    assert quality_of(store, task, "eve").confusion == {2: {1: pytest.approx(6)}}
    assert report_of(store, task, "mia").weight is None  # the one who settles learns nothing about herself


def test_sets_of_labels_teach_by_check_items_alone(store: Store) -> None:
    task = make_task("crowd", kind="multi_label", answers=2, most_answers=2)
    ask(store, task, "where is my parcel")
    for who in ("ann", "bob"):
        reply(store, task, person(who), Said("labels", ["parcel"]))
    assert refresh_quality(store, task) == 0
