"""What experts must decide, what reviewers decide, and what they send back, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from core.errors import ConflictError, InvalidError, NotFoundError
from core.roles import Caller
from feedback import disputes
from feedback.adjudication import decide, send_back
from feedback.answers import Answered, Said, answer, undo
from feedback.disputes import Dispute, Disputes, find_dispute, letters, list_disputes
from feedback.quality import note_check
from feedback.queue import claim
from feedback.schema import audit, resolutions
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import (
    ask,
    expire_leases,
    faults_of_counts,
    item_row,
    make_task,
    person,
    reply,
    say,
    slot_states,
    take,
)

ANN, BOB, CAT = person("ann"), person("bob"), person("cat")
BOSS, CHIEF = person("boss", "reviewer"), person("chief", "reviewer")
COMBINED = make_task("combined", answers=2, most_answers=4, aggregation="majority")
PARCEL = Said("label", "parcel")


def disagree(store: Store, task: Task = COMBINED, text: str = "text", **about: Any) -> str:
    """Let two people say different things of a new item."""
    (item,) = ask(store, task, text, **about)
    reply(store, task, ANN, Said("label", "parcel", comment="clearly"))
    reply(store, task, BOB, Said("out_of_scope", proposed_label="lost parcel"))
    return item


def decided(store: Store, task: Task, who: Caller, item: str, said: Said = PARCEL, **more: Any) -> Answered:
    return decide(store, {task.name: task}, who, item, said, **more)


def sent(store: Store, task: Task, who: Caller, item: str, wanted: int | None = None, **more: Any) -> Any:
    return send_back(store, {task.name: task}, who, item, wanted, **more)


def listed(store: Store, task: Task = COMBINED, who: Caller = BOSS, **more: Any) -> Disputes:
    return list_disputes(store, task, who, **more)


def ids(found: Disputes) -> list[str]:
    return [one.item_id for one in found.disputes]


def test_a_disagreement_is_a_dispute_with_all_that_was_said(store: Store) -> None:
    item = disagree(store, hidden=True)
    (one,) = listed(store).disputes
    assert (one.item_id, one.text, one.state, one.round, one.asked, one.held) == (item, "text", "open", 1, 3, False)
    assert one.suggestions == [{"label": "parcel", "score": 0.6}, {"label": "refund", "score": 0.3}]
    assert [(vote.person, vote.label, vote.comment, vote.proposed_label) for vote in one.votes] == [
        ("ann", "parcel", "clearly", None),
        ("bob", "out_of_scope", None, "lost parcel"),
    ]
    assert (one.label, one.labels, one.method) == (None, None, None)


def test_items_that_nobody_has_said_anything_of_are_no_disputes(store: Store) -> None:
    for task in (COMBINED, make_task("expert", name="calls")):
        ask(store, task, "one", "two")
        assert ids(listed(store, task)) == []
    reply(store, COMBINED, ANN, "parcel")
    assert listed(store).waiting == 0


def test_a_flagged_item_is_a_dispute(store: Store) -> None:
    task = make_task("expert")
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, Said("flag", "two in one"))
    (one,) = listed(store, task).disputes
    assert [(vote.kind, vote.comment) for vote in one.votes] == [("flag", "two in one")]
    decided(store, task, BOSS, item)
    assert ids(listed(store, task)) == []


def test_names_are_letters_where_the_task_shows_none(store: Store) -> None:
    task = make_task("combined", answers=2, most_answers=4, aggregation="majority", show_names=False)
    disagree(store, task)
    (one,) = listed(store, task).disputes
    assert [vote.person for vote in one.votes] == ["A", "B"]
    assert "'ann'" not in repr(one)
    assert [letters(number) for number in (0, 25, 26, 51, 52, 702)] == ["A", "Z", "AA", "AZ", "BA", "AAA"]


def test_a_page_of_disputes_follows_another(store: Store) -> None:
    items = [disagree(store, text=f"text {number}", urgency=1 - number / 10) for number in range(5)]
    first = listed(store, limit=2)
    second = listed(store, after=first.after, limit=2)
    third = listed(store, after=second.after, limit=2)
    assert [ids(one) for one in (first, second, third)] == [items[:2], items[2:4], items[4:]]
    assert third.after is None
    assert {one.waiting for one in (first, second, third)} == {5}


def test_a_decision_settles_it_like_an_answer(store: Store) -> None:
    item = disagree(store)
    done = decided(store, COMBINED, BOSS, item, Said("label", "refund", comment="see the guideline"))
    assert (done.counted, done.task) == (True, COMBINED.name)
    assert done.resolution is not None
    assert (done.resolution.value, done.resolution.method, done.resolution.confirms) == (2, "expert", False)
    assert item_row(store, item).state == "resolved"
    assert ids(listed(store)) == []
    shown = find_dispute(store, COMBINED, item)
    assert shown is not None
    assert (shown.label, shown.method, shown.votes[-1].comment) == ("refund", "expert", "see the guideline")
    assert [vote.seconds is None for vote in shown.votes] == [False, False, True], "a decision is not measured"
    assert faults_of_counts(store) == []
    with store.read() as connection:
        noted = connection.scalars(select(audit.c.action).where(audit.c.object == item)).all()
    assert noted[-2:] == ["decide", "answer"]


def test_whoever_holds_it_may_still_say_something(store: Store) -> None:
    item = disagree(store)
    held = take(store, COMBINED, CHIEF)
    assert [one.held for one in listed(store).disputes] == [True]
    assert [one.held for one in listed(store, who=CHIEF).disputes] == [False]
    decided(store, COMBINED, BOSS, item, Said("out_of_scope"))
    late = say(store, COMBINED, CHIEF, held, "refund")
    assert not late.counted
    assert item_row(store, item).state == "resolved"
    assert set(slot_states(store, item)) == {"answered", "closed"}


def test_a_decision_uses_the_deciders_own_lease(store: Store) -> None:
    item = disagree(store)
    held = take(store, COMBINED, BOSS)
    done = decided(store, COMBINED, BOSS, item)
    assert done.resolution is not None
    assert slot_states(store, item).count("answered") == 3
    with pytest.raises(ConflictError, match="answered"):
        say(store, COMBINED, BOSS, held, "refund")


def test_an_item_can_be_decided_while_the_crowd_is_asked(store: Store) -> None:
    (item,) = ask(store, COMBINED, "text")
    held = take(store, COMBINED, BOSS)
    done = decided(store, COMBINED, BOSS, item)
    assert done.resolution is not None
    assert done.resolution.method == "expert"
    with pytest.raises(ConflictError):
        say(store, COMBINED, BOSS, held, "refund")
    assert claim(store, COMBINED, ANN, 5) == []


def test_one_who_has_answered_decides_in_a_new_round(store: Store) -> None:
    (item,) = ask(store, COMBINED, "text")
    reply(store, COMBINED, BOSS, "parcel")
    reply(store, COMBINED, ANN, "refund")
    assert decided(store, COMBINED, BOSS, item, Said("label", "refund")).resolution is not None
    row = item_row(store, item)
    assert (row.state, row.round) == ("resolved", 2)
    assert faults_of_counts(store) == []


def test_a_decision_counts_whatever_check_items_say(store: Store) -> None:
    task = make_task("combined", answers=2, most_answers=4, aggregation="majority", trust_after=1)
    with store.write() as connection:
        for _ in range(20):
            note_check(store, connection, task, BOSS.person, 1, 2)
    item = disagree(store, task)
    assert decided(store, task, BOSS, item).resolution is not None
    assert item_row(store, item).state == "resolved"


def test_a_decision_can_be_taken_back_and_made_again(store: Store) -> None:
    item = disagree(store)
    done = decided(store, COMBINED, BOSS, item)
    undone = undo(store, {COMBINED.name: COMBINED}, BOSS, item, done.answer_id)
    assert ids(listed(store)) == [item]
    again = decided(store, COMBINED, BOSS, item, Said("label", "refund"))
    assert again.resolution is not None
    assert again.resolution.value == 2
    with pytest.raises(ConflictError):
        answer(store, {COMBINED.name: COMBINED}, BOSS, item, undone.lease_token, PARCEL)
    assert faults_of_counts(store) == []


def test_a_resolved_item_is_decided_anew_only_when_that_is_said(store: Store) -> None:
    task = make_task()
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, "refund")
    with pytest.raises(ConflictError, match="reopen"):
        decided(store, task, BOSS, item)
    with pytest.raises(ConflictError, match="reopen"):
        sent(store, task, BOSS, item)
    done = decided(store, task, BOSS, item, reopen=True)
    shown = find_dispute(store, task, item)
    assert shown is not None
    assert (shown.label, shown.round) == ("parcel", 2)
    assert [(vote.round, vote.label) for vote in shown.votes] == [(1, "refund"), (2, "parcel")]
    assert faults_of_counts(store) == []
    undo(store, {task.name: task}, BOSS, item, done.answer_id)
    expire_leases(store)
    assert ids(listed(store, task)) == [item]
    assert faults_of_counts(store) == []


def test_two_reviewers_at_once_do_not_overrule_each_other(store: Store) -> None:
    items = [disagree(store, text=f"text {number}") for number in range(4)]

    def try_to(who: Caller, item: str) -> bool:
        try:
            return decided(store, COMBINED, who, item).resolution is not None
        except ConflictError:
            return False

    with ThreadPoolExecutor(8) as pool:
        tries = [(item, pool.submit(try_to, who, item)) for item in items for who in (BOSS, CHIEF)]
        done = [item for item, future in tries if future.result()]
    assert sorted(done) == sorted(items), "each was decided by one of the two"
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(resolutions)).scalar_one() == len(items)
    assert faults_of_counts(store) == []


def test_an_item_sent_back_is_asked_anew(store: Store) -> None:
    item = disagree(store)
    held = take(store, COMBINED, CHIEF)
    back = sent(store, COMBINED, BOSS, item, 3)
    assert (back.round, back.stage, back.answers) == (2, "crowd", 3)
    assert ids(listed(store)) == []
    assert slot_states(store, item) == ["free"] * 3
    assert not say(store, COMBINED, CHIEF, held, "refund").counted
    with pytest.raises(ConflictError, match="already"):
        sent(store, COMBINED, CHIEF, item)
    for who in (ANN, CAT):
        reply(store, COMBINED, who, "parcel")
    assert item_row(store, item).state == "resolved"
    assert faults_of_counts(store) == []


def test_one_answer_is_asked_for_where_one_settles_it(store: Store) -> None:
    task = make_task("expert")
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, "refund")
    with pytest.raises(InvalidError, match="one answer"):
        sent(store, task, BOSS, item, 2, reopen=True)
    assert sent(store, task, BOSS, item, reopen=True).answers == 1
    assert reply(store, task, ANN, "parcel").resolution is not None
    assert faults_of_counts(store) == []


def test_what_cannot_be_decided(store: Store) -> None:
    task = make_task()
    (check,) = ask(store, task, "known", reason="check", check_value=1)
    with pytest.raises(ConflictError, match="check item"):
        decided(store, task, BOSS, check)
    with pytest.raises(NotFoundError):
        decided(store, task, BOSS, "01a20228-359f-742d-8374-7d609c74e8d6")
    (item,) = ask(store, task, "text")
    with pytest.raises(NotFoundError):
        decided(store, task, Caller("elsewhere", "reviewer", "k", frozenset({"other"})), item)
    with pytest.raises(NotFoundError):
        decide(store, {}, BOSS, item, PARCEL)
    with pytest.raises(InvalidError):
        decided(store, task, BOSS, item, Said("label", "nonsense"))
    assert item_row(store, item).round == 1
    assert slot_states(store, item) == ["free"]


def test_several_labels_are_decided_together(store: Store) -> None:
    task = make_task("combined", kind="multi_label", answers=2, most_answers=4, aggregation="majority")
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, Said("labels", ["parcel"]))
    reply(store, task, BOB, Said("labels", []))
    found: Dispute = listed(store, task).disputes[0]
    assert [vote.labels for vote in found.votes] == [["parcel"], []]
    done = decided(store, task, BOSS, item, Said("labels", ["refund", "parcel"]))
    assert done.resolution is not None
    assert done.resolution.value == (1, 2)


def test_disputes_are_found_by_their_index(store: Store) -> None:
    disagree(store)
    if not store.is_sqlite:
        return
    asked = disputes._WAITING.params(of="mail", rank=0.0, item="", most=3).compile(store.engine)
    with store.read() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", _values(asked)).all())
    assert "ix_slots_disputed" in plan
    assert "TEMP B-TREE" not in plan


def _values(compiled: Any) -> tuple[Any, ...]:
    return tuple(compiled.params[name] for name in compiled.positiontup)
