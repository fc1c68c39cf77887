"""What people say of items and what follows from it, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from core.ids import new_id
from feedback.answers import Said, answer, undo
from feedback.facts import OUTSIDE
from feedback.quality import note_check
from feedback.queue import claim
from feedback.schema import annotators, answers, audit, encounters, items, leases, outbox, resolutions, texts
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

ANN, BEN, CAT, DAN, EVE = map(person, ("ann", "ben", "cat", "dan", "eve"))
BOSS = person("boss", "reviewer")
EXPERT = make_task()
CROWD = make_task("crowd", aggregation="majority")


def resolved(store: Store, item_id: str) -> tuple[Any, bool | None, str, int]:
    """Return what an item was resolved as, whether that confirms the model, by which method, from how many answers."""
    with store.read() as connection:
        wanted = select(resolutions).join(items, items.c.resolution_id == resolutions.c.id)
        row = connection.execute(wanted.where(items.c.id == item_id)).one()
    return row.value, row.confirms, row.method, len(row.answer_ids)


def distrust(store: Store, task: Task, name: str) -> None:
    """Let somebody answer so many check items wrongly that their answers do not count any more."""
    with store.write() as connection:
        for _ in range(40):
            note_check(store, connection, task, name, 1, 2)
        assert connection.execute(select(annotators.c.trusted).where(annotators.c.person == name)).scalar_one() is False


def test_one_expert_answer_resolves(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, BOSS, "parcel")
    assert answered.counted
    assert answered.resolution is not None
    assert (answered.resolution.value, answered.resolution.confirms) == (1, True)
    assert resolved(store, item) == (1, True, "expert", 1)
    row = item_row(store, item)
    assert (row.state, row.open_key, row.resolved_at is not None) == ("resolved", None, True)
    assert faults_of_counts(store) == []
    with store.read() as connection:
        event = connection.execute(select(outbox.c.payload).where(outbox.c.event == "item.resolved")).scalar_one()
        noted = connection.execute(select(audit.c.actor, audit.c.action, audit.c.object)).one()
        said = connection.execute(select(answers)).one()
    assert (event["item_id"], event["value"], event["confirms"], event["answers"]) == (item, 1, True, 1)
    assert tuple(noted) == ("boss", "answer", item)
    assert (said.value, said.kind, said.counted, said.role, said.revision) == (1, "label", "true", "reviewer", 1)
    assert said.seconds >= 0


def test_a_correction_does_not_confirm_and_annotators_are_not_told(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, ANN, "password")
    assert answered.resolution is not None
    assert answered.resolution.confirms is None
    assert resolved(store, item) == (3, False, "expert", 1)


def test_no_label_covers_it(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text", suggestions=[])
    answered = reply(store, EXPERT, ANN, Said("out_of_scope", proposed_label="complaint of jo@example.com"))
    assert answered.resolution is not None
    assert answered.resolution.value == OUTSIDE
    assert resolved(store, item) == (OUTSIDE, None, "expert", 1)
    with store.read() as connection:
        proposed = select(texts.c.content).join(answers, answers.c.proposed_id == texts.c.id)
        assert connection.execute(proposed).scalar_one() == "complaint of <EMAIL>"


def test_remarks_are_redacted_and_belong_to_the_texts_subject(store: Store) -> None:
    ask(store, EXPERT, "text", subject="customer-7")
    reply(store, EXPERT, ANN, Said("label", "refund", comment="write to jo@example.com"))
    with store.read() as connection:
        remark = connection.execute(
            select(texts.c.content, texts.c.subject).join(answers, answers.c.comment_id == texts.c.id)
        ).one()
    assert tuple(remark) == ("write to <EMAIL>", "customer-7")


@pytest.mark.parametrize(
    ("task", "said", "place"),
    [
        (EXPERT, Said("label", "parsel"), ("label",)),
        (EXPERT, Said("label", "out_of_scope"), ("label",)),
        (EXPERT, Said("labels", ["parcel"]), ("labels",)),
        (EXPERT, Said("spans"), ("spans",)),
        (make_task(kind="multi_label"), Said("label", "parcel"), ("label",)),
        (make_task(kind="multi_label"), Said("labels", ["parcel", "x"]), ("labels", 1)),
    ],
)
def test_an_answer_that_the_task_does_not_take_changes_nothing(
    store: Store, task: Task, said: Said, place: tuple[str | int, ...]
) -> None:
    ask(store, task, "text")
    claimed = take(store, task, ANN)
    with pytest.raises(InvalidError) as caught:
        say(store, task, ANN, claimed, said)
    assert caught.value.faults[0].loc == place
    with store.read() as connection:
        assert connection.execute(select(answers)).all() == []
        assert connection.execute(select(encounters)).all() == []


def test_a_crowd_of_one_mind_resolves_with_the_last_answer_wanted(store: Store) -> None:
    (item,) = ask(store, CROWD, "text")
    for who in (ANN, BEN):
        assert reply(store, CROWD, who, "refund").resolution is None
    answered = reply(store, CROWD, CAT, "refund")
    assert answered.resolution is not None
    assert resolved(store, item) == (2, False, "majority", 3)
    assert slot_states(store, item) == ["answered"] * 3
    assert faults_of_counts(store) == []


def test_an_unsure_crowd_is_asked_for_more_and_then_its_leader_wins(store: Store) -> None:
    (item,) = ask(store, CROWD, "text")
    for who, label in ((ANN, "refund"), (BEN, "parcel"), (CAT, "refund")):
        assert reply(store, CROWD, who, label).resolution is None
    assert item_row(store, item).wanted == 4
    reply(store, CROWD, DAN, "refund")
    assert reply(store, CROWD, EVE, "refund").resolution is not None
    assert resolved(store, item)[0] == 2


def test_a_tie_goes_to_an_expert(store: Store) -> None:
    task = make_task("crowd", aggregation="majority", answers=2, most_answers=2)
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, "refund")
    reply(store, task, BEN, "parcel")
    assert item_row(store, item).stage == "expert"
    assert claim(store, task, CAT, 1) == []
    assert reply(store, task, BOSS, "password").resolution is not None
    assert resolved(store, item) == (3, False, "expert", 3)


def test_combined_sends_disagreement_to_an_expert(store: Store) -> None:
    task = make_task("combined", answers=2, aggregation="majority", experts=["eve"])
    (item,) = ask(store, task, "text")
    reply(store, task, ANN, "refund")
    reply(store, task, BEN, "parcel")
    assert claim(store, task, CAT, 1) == []
    assert reply(store, task, EVE, "parcel").resolution is not None
    assert resolved(store, item) == (1, True, "expert", 3)


def test_several_labels_end_to_end(store: Store) -> None:
    task = make_task("crowd", kind="multi_label", aggregation="majority", answers=2)
    both, none = ask(store, task, "both", "none", suggestions=[("parcel", 0.8), ("refund", 0.7), ("password", 0.1)])
    for who in (ANN, BEN):
        for claimed in claim(store, task, who, 2):
            names = ["refund", "parcel", "refund"] if claimed.item_id == both else []
            say(store, task, who, claimed, Said("labels", names))
    assert resolved(store, both) == ([1, 2], True, "majority", 2)
    assert resolved(store, none) == ([], False, "majority", 2)


def test_nobody_answers_an_item_twice(store: Store) -> None:
    ask(store, CROWD, "text")
    claimed = take(store, CROWD, ANN)
    say(store, CROWD, ANN, claimed, "refund")
    with pytest.raises(ConflictError, match="answered before"):
        say(store, CROWD, ANN, claimed, "parcel")
    assert claim(store, CROWD, ANN, 5) == []


def test_two_leases_of_one_person_on_an_item_take_one_answer(store: Store) -> None:
    ask(store, CROWD, "text")
    first = take(store, CROWD, ANN)
    expire_leases(store)
    second = take(store, CROWD, ANN)
    assert say(store, CROWD, ANN, first, "refund").counted
    with pytest.raises(ConflictError):
        say(store, CROWD, ANN, second, "refund")
    assert slot_states(store, first.item_id).count("answered") == 1
    assert slot_states(store, first.item_id).count("free") == 2


def test_a_late_answer_counts_while_its_slot_is_free(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    claimed = take(store, EXPERT, ANN)
    expire_leases(store)
    claim(store, EXPERT, BEN, 1, label="nothing")  # frees it
    assert say(store, EXPERT, ANN, claimed, "refund").counted
    assert resolved(store, item)[0] == 2


def test_a_late_answer_is_kept_as_an_extra_vote(store: Store) -> None:
    task = make_task("crowd", aggregation="majority", answers=2, most_answers=3)
    (item,) = ask(store, task, "text")
    late = take(store, task, ANN)
    take(store, task, BEN)
    expire_leases(store)  # both slots go to others
    cat, dan = take(store, task, CAT), take(store, task, DAN)
    answered = say(store, task, ANN, late, "refund")
    assert (answered.counted, answered.resolution) == (False, None)
    with pytest.raises(ConflictError):
        say(store, task, ANN, late, "refund")
    assert say(store, task, CAT, cat, "refund").resolution is not None
    assert resolved(store, item) == (2, False, "majority", 2)
    assert slot_states(store, item) == ["answered", "closed"]
    assert not say(store, task, DAN, dan, "refund").counted
    assert faults_of_counts(store) == []


def test_a_flag_hands_the_item_to_an_expert(store: Store) -> None:
    (item,) = ask(store, CROWD, "text")
    claimed = take(store, CROWD, BOSS)
    held = take(store, CROWD, ANN)
    answered = say(store, CROWD, BOSS, claimed, Said("flag", "two questions in one", comment="see jo@example.com"))
    assert (answered.counted, answered.resolution) == (True, None)
    assert item_row(store, item).stage == "expert"
    assert slot_states(store, item) == ["closed", "leased", "closed", "free"]
    assert claim(store, CROWD, BEN, 1) == []
    assert claim(store, CROWD, BOSS, 1) == []
    assert say(store, CROWD, ANN, held, "refund").counted
    second = person("second", "reviewer")
    assert reply(store, CROWD, second, "parcel").resolution is not None
    assert resolved(store, item)[0] == 1
    with store.read() as connection:
        remark = select(texts.c.content).join(answers, answers.c.comment_id == texts.c.id)
        assert connection.execute(remark).scalar_one() == "two questions in one\nsee <EMAIL>"
        assert "flag" in connection.scalars(select(audit.c.action)).all()


def test_undoing_gives_the_item_back(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, ANN, "refund")
    tasks = {EXPERT.name: EXPERT}
    undone = undo(store, tasks, ANN, item, answered.answer_id)
    row = item_row(store, item)
    assert (row.state, row.resolution_id, row.open_key is not None) == ("open", None, True)
    assert faults_of_counts(store) == []
    assert claim(store, EXPERT, BEN, 1) == []
    with pytest.raises(ConflictError, match="taken back"):
        undo(store, tasks, ANN, item, answered.answer_id)
    assert answer(store, tasks, ANN, item, undone.lease_token, Said("label", "parcel")).resolution is not None
    assert resolved(store, item) == (1, True, "expert", 1)
    assert faults_of_counts(store) == []


def test_an_undone_vote_does_not_count(store: Store) -> None:
    (item,) = ask(store, CROWD, "text")
    tasks = {CROWD.name: CROWD}
    answered = reply(store, CROWD, ANN, "parcel")
    undone = undo(store, tasks, ANN, item, answered.answer_id)
    for who in (BEN, CAT):
        reply(store, CROWD, who, "refund")
    assert slot_states(store, item) == ["leased", "answered", "answered"]
    answer(store, tasks, ANN, item, undone.lease_token, Said("label", "refund"))
    assert resolved(store, item) == (2, False, "majority", 3)


def test_only_ones_own_answers_can_be_undone(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, ANN, "refund")
    tasks = {EXPERT.name: EXPERT}
    with pytest.raises(ForbiddenError):
        undo(store, tasks, BEN, item, answered.answer_id)
    for item_id, answer_id in ((item, new_id()), (new_id(), answered.answer_id)):
        with pytest.raises(NotFoundError):
            undo(store, tasks, ANN, item_id, answer_id)
    assert item_row(store, item).state == "resolved"
    with store.read() as connection:
        assert connection.scalars(select(audit.c.action).where(audit.c.actor == "ben")).all() == ["lease.refused"]


def test_undoing_beside_an_open_copy_leaves_both_open(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, ANN, "refund")
    (copy,) = ask(store, EXPERT, "text")
    undo(store, {EXPERT.name: EXPERT}, ANN, item, answered.answer_id)
    assert [item_row(store, one).state for one in (item, copy)] == ["open", "open"]
    assert ask(store, EXPERT, "text") == [copy]
    assert faults_of_counts(store) == []


def test_a_skip_can_be_undone_until_somebody_else_has_the_slot(store: Store) -> None:
    tasks = {EXPERT.name: EXPERT}
    (first,) = ask(store, EXPERT, "first")
    skipped = reply(store, EXPERT, ANN, Said("skip"))
    again = undo(store, tasks, ANN, first, skipped.answer_id)
    assert answer(store, tasks, ANN, first, again.lease_token, Said("label", "refund")).counted
    (second,) = ask(store, EXPERT, "second")
    skipped = reply(store, EXPERT, ANN, Said("skip"))
    take(store, EXPERT, BEN)
    again = undo(store, tasks, ANN, second, skipped.answer_id)
    assert not answer(store, tasks, ANN, second, again.lease_token, Said("label", "refund")).counted


def test_a_flag_can_be_undone(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    flagged = reply(store, EXPERT, ANN, Said("flag", "why"))
    undone = undo(store, {EXPERT.name: EXPERT}, ANN, item, flagged.answer_id)
    answered = answer(store, {EXPERT.name: EXPERT}, ANN, item, undone.lease_token, Said("label", "refund"))
    assert answered.resolution is not None
    assert slot_states(store, item) == ["answered", "closed"]
    assert faults_of_counts(store) == []


def test_answers_of_one_who_is_not_trusted_do_not_count_and_do_not_show(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    distrust(store, EXPERT, "eve")
    answered = reply(store, EXPERT, EVE, "refund")
    assert answered.counted
    assert answered.resolution is not None
    assert (answered.resolution.value, answered.resolution.method) == (2, "expert")
    assert item_row(store, item).state == "open"
    assert claim(store, EXPERT, EVE, 1) == []
    assert reply(store, EXPERT, ANN, "parcel").resolution is not None
    assert resolved(store, item)[0] == 1
    with store.read() as connection:
        assert connection.scalars(select(answers.c.counted).order_by(answers.c.id)).all() == ["extra", "true"]


def test_check_items_look_like_others_and_measure(store: Store) -> None:
    task = make_task(check_rate=0.5)
    checks = set(ask(store, task, "check 1", "check 2", reason="check", check_value=1, suggestions=[]))
    plain = set(ask(store, task, *(f"text {number}" for number in range(12)), reason="audit"))
    shapes = set()
    met: list[str] = []
    for _ in range(14):
        for claimed in claim(store, task, ANN, 1):
            met.append(claimed.item_id)
            answered = say(store, task, ANN, claimed, "parcel")
            assert answered.resolution is not None
            made = answered.resolution
            shapes.add((claimed.suggestions, claimed.reason, answered.counted, made.value, made.method, made.posterior))
    assert len(shapes) == 1
    assert len(set(met)) == len(met)
    assert set(met) >= plain
    given = len(set(met) & checks)
    assert {item_row(store, one).state for one in checks} == {"check"}
    with store.read() as connection:
        row = connection.execute(select(annotators.c.checks, annotators.c.right)).first()
    assert (tuple(row) if row else (0, 0)) == (given, given)
    assert faults_of_counts(store) == []


def test_check_items_go_to_many_and_never_alone(store: Store) -> None:
    task = make_task("crowd", check_rate=0.5)
    (check,) = ask(store, task, "check", reason="check", check_value=1, suggestions=[])
    assert claim(store, task, ANN, 50) == []
    ask(store, task, *(f"text {number}" for number in range(20)))
    for who in (ANN, BEN):
        shown = claim(store, task, who, 20)
        found = [one for one in shown if one.item_id == check]
        assert len(found) == 1  # but once in a million, with twenty draws
        assert say(store, task, who, found[0], "refund").resolution is None
        assert check not in {one.item_id for one in claim(store, task, who, 20)}
    with store.read() as connection:
        rows = connection.execute(select(annotators.c.person, annotators.c.checks, annotators.c.right)).all()
    assert sorted(tuple(row) for row in rows) == [("ann", 1, 0), ("ben", 1, 0)]


def test_a_check_that_is_undone_and_said_again_counts_once(store: Store) -> None:
    task = make_task("crowd", check_rate=0.5)
    (check,) = ask(store, task, "check", reason="check", check_value=1, suggestions=[])
    ask(store, task, *(f"text {number}" for number in range(20)))
    (claimed,) = (one for one in claim(store, task, ANN, 20) if one.item_id == check)
    answered = say(store, task, ANN, claimed, "refund")
    undone = undo(store, {task.name: task}, ANN, check, answered.answer_id)
    answer(store, {task.name: task}, ANN, check, undone.lease_token, Said("label", "parcel"))
    with store.read() as connection:
        assert tuple(connection.execute(select(annotators.c.checks, annotators.c.right)).one()) == (1, 1)


def test_seconds_are_as_told_and_no_longer_than_since_the_claim(store: Store) -> None:
    ask(store, EXPERT, "one", "two", "three")
    for seconds in (0.0, 1e9, None):
        reply(store, EXPERT, ANN, Said("label", "parcel", seconds=seconds))
    with store.read() as connection:
        since = select(answers, leases.c.granted_at).join(leases, leases.c.token == answers.c.lease_token)
        rows = connection.execute(since)
        kept = [(row.seconds, (row.created_at - row.granted_at).total_seconds()) for row in rows.all()]
    assert min(kept)[0] == 0
    assert sum(seconds == pytest.approx(held) for seconds, held in kept) >= 2
