"""Handing items to people, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from core.errors import ConflictError, ForbiddenError, NotFoundError, UngrantedError
from core.ids import new_id
from core.roles import Caller
from feedback.answers import Said, answer
from feedback.items import add_items
from feedback.queue import claim, heartbeat, release
from feedback.schema import audit, items, leases, outbox, slots
from feedback.store import Store
from feedback.texts import add_texts, new_text
from tasks.declaration import Task
from tests.support.queue import (
    ask,
    expire_leases,
    faults_of_counts,
    item_row,
    make_item,
    make_task,
    person,
    reply,
    say,
    slot_states,
    take,
)

ANN, BEN, EVE = person("ann"), person("ben"), person("eve")
BOSS = person("boss", "reviewer")
EXPERT, CROWD = make_task(), make_task("crowd")


def texts_of(store: Store, who: Caller, count: int, **filters: str) -> list[str]:
    return [one.text for one in claim(store, EXPERT, who, count, **filters)]


def test_an_exact_copy_of_an_open_item_shares_it(store: Store) -> None:
    first, twin, other = ask(store, CROWD, "Where is it?", "where  IS it?", "another")
    assert (first == twin, first == other) == (True, False)
    assert ask(store, CROWD, "WHERE is it?") == [first]
    assert ask(store, make_task("crowd", name="post"), "Where is it?") != [first]
    assert faults_of_counts(store) == []
    with store.read() as connection:
        events = connection.execute(select(outbox.c.event, outbox.c.payload)).all()
    assert [event for event, _ in events] == ["item.created"] * 3
    assert {payload["item_id"] for _, payload in events} >= {first, other}


def test_a_copy_of_a_resolved_item_is_asked_about_anew(store: Store) -> None:
    (first,) = ask(store, EXPERT, "Where is it?")
    reply(store, EXPERT, ANN, "parcel")
    assert ask(store, EXPERT, "Where is it?") != [first]
    assert faults_of_counts(store) == []


def test_adding_the_same_item_again_changes_nothing(store: Store) -> None:
    text = new_text(new_id(), "Where is it?", None, datetime.now(UTC))
    item = make_item(CROWD, text.id, text.sha256)
    for _ in range(2):
        with store.write() as connection:
            add_texts(connection, [text])
            assert add_items(store, connection, [item]) == {item.id: item.id}
    assert slot_states(store, item.id) == ["free"] * 3
    assert faults_of_counts(store) == []


def test_an_id_that_was_given_out_stays_valid_beside_an_open_copy(store: Store) -> None:
    (standing,) = ask(store, CROWD, "Where is it?")
    text = new_text(new_id(), "Where is it?", None, datetime.now(UTC))
    item = make_item(CROWD, text.id, text.sha256)
    for _ in range(2):
        with store.write() as connection:
            add_texts(connection, [text])
            assert add_items(store, connection, [item], keep_ids=True) == {item.id: standing}
    row = item_row(store, item.id)
    assert (row.state, row.same_as, slot_states(store, item.id)) == ("merged", standing, [])
    assert faults_of_counts(store) == []


def test_urgent_items_go_first_and_old_ones_rise(store: Store) -> None:
    now = datetime.now(UTC)
    ask(store, EXPERT, "calm", urgency=0.0, created_at=now)
    ask(store, EXPERT, "urgent", urgency=1.0, created_at=now)
    ask(store, EXPERT, "old", urgency=0.0, created_at=now - timedelta(days=3))
    ask(store, EXPERT, "very old", urgency=0.0, created_at=now - timedelta(days=8))
    assert texts_of(store, ANN, 10) == ["very old", "urgent", "old", "calm"]


def test_near_copies_stand_together_three_at_a_time(store: Store) -> None:
    now = datetime.now(UTC)
    ask(store, EXPERT, *(f"near {number}" for number in range(7)), cluster="near", created_at=now)
    ask(store, EXPERT, "far", created_at=now + timedelta(hours=1))
    shown = texts_of(store, ANN, 10)
    assert sorted(shown[:3]) == ["near 0", "near 1", "near 2"]
    assert shown[3] == "far"
    assert sorted(shown[4:7]) == ["near 3", "near 4", "near 5"]


def test_near_copies_of_earlier_calls_count_as_well(store: Store) -> None:
    now = datetime.now(UTC)
    for number in range(4):
        ask(store, EXPERT, f"near {number}", cluster="near", created_at=now)
    ask(store, EXPERT, "far", created_at=now + timedelta(hours=1))
    assert texts_of(store, ANN, 10)[3:] == ["far", "near 3"]


def test_filters_choose_by_first_suggestion_and_language(store: Store) -> None:
    ask(store, EXPERT, "one", suggestions=[("parcel", 0.9)], language="en")
    ask(store, EXPERT, "two", suggestions=[("refund", 0.9)], language="en")
    ask(store, EXPERT, "drei", suggestions=[("refund", 0.9)], language="de")
    ask(store, EXPERT, "bare", suggestions=[], language=None)
    assert texts_of(store, ANN, 10, label="refund", language="de") == ["drei"]
    assert texts_of(store, ANN, 10, label="refund") == ["two"]
    assert texts_of(store, ANN, 10, language="en") == ["one"]
    assert texts_of(store, ANN, 10) == ["bare"]


def test_one_slot_one_person_and_one_slot_of_an_item_for_each(store: Store) -> None:
    ids = set(ask(store, CROWD, "a", "b"))
    for who in (ANN, BEN, EVE):
        assert {one.item_id for one in claim(store, CROWD, who, 50)} == ids
    assert claim(store, CROWD, person("late"), 50) == []
    assert claim(store, CROWD, ANN, 50) == []


def test_a_claim_tells_what_its_caller_may_know(store: Store) -> None:
    ask(store, EXPERT, "plain", reason="out_of_scope", language="de")
    before = datetime.now(UTC)
    claimed = take(store, EXPERT, ANN)
    assert (claimed.text, claimed.language, claimed.reason) == ("plain", "de", None)
    assert claimed.suggestions == (("parcel", 0.6), ("refund", 0.3))
    assert len(claimed.lease_token) >= 43
    held = claimed.lease_expires_at - before
    assert (
        timedelta(seconds=EXPERT.review.lease_seconds - 60) < held < timedelta(seconds=EXPERT.review.lease_seconds + 60)
    )
    ask(store, EXPERT, "other", reason="out_of_scope")
    assert take(store, EXPERT, BOSS).reason == "out_of_scope"


def test_audit_and_hidden_items_come_without_suggestions(store: Store) -> None:
    ask(store, EXPERT, "audited", reason="audit")
    ask(store, EXPERT, "hidden", hidden=True)
    assert [one.suggestions for one in claim(store, EXPERT, ANN, 2)] == [(), ()]


@pytest.mark.parametrize(
    ("strategy", "experts", "stage", "who", "sees"),
    [
        ("expert", [], "expert", ANN, True),
        ("expert", ["ann"], "expert", ANN, True),
        ("expert", ["ann"], "expert", BEN, False),
        ("expert", ["ann"], "expert", BOSS, True),
        ("crowd", [], "crowd", BOSS, True),
    ],
)
def test_who_is_asked(store: Store, strategy: str, experts: list[str], stage: str, who: Caller, sees: bool) -> None:
    task = make_task(strategy, experts=experts)
    (item,) = ask(store, task, "text")
    assert item_row(store, item).stage == stage
    assert bool(claim(store, task, who, 1)) is sees


def test_a_released_item_may_come_back_and_its_token_is_dead(store: Store) -> None:
    ask(store, EXPERT, "text")
    claimed = take(store, EXPERT, ANN)
    tasks = {EXPERT.name: EXPERT}
    release(store, tasks, ANN, claimed.item_id, claimed.lease_token)
    for act in (release, heartbeat):
        with pytest.raises(ConflictError):
            act(store, tasks, ANN, claimed.item_id, claimed.lease_token)
    with pytest.raises(ConflictError, match="released"):
        say(store, EXPERT, ANN, claimed, "parcel")
    again = take(store, EXPERT, ANN)
    assert again.item_id == claimed.item_id
    assert again.lease_token != claimed.lease_token
    assert say(store, EXPERT, ANN, again, "parcel").counted


def test_a_heartbeat_holds_a_lease_on(store: Store) -> None:
    ask(store, EXPERT, "text")
    claimed, tasks = take(store, EXPERT, ANN), {EXPERT.name: EXPERT}
    expire_leases(store)
    until = heartbeat(store, tasks, ANN, claimed.item_id, claimed.lease_token)
    assert until >= claimed.lease_expires_at
    assert claim(store, EXPERT, BEN, 1) == []
    assert heartbeat(store, tasks, ANN, claimed.item_id, claimed.lease_token) >= until


def test_an_expired_lease_goes_to_somebody_else_unless_its_holder_is_quicker(store: Store) -> None:
    ask(store, EXPERT, "first", created_at=datetime.now(UTC) - timedelta(hours=1))
    claimed, tasks = take(store, EXPERT, ANN), {EXPERT.name: EXPERT}
    expire_leases(store)
    ask(store, CROWD, "something else")
    assert take(store, EXPERT, BEN).item_id == claimed.item_id
    with pytest.raises(ConflictError, match="lost"):
        heartbeat(store, tasks, ANN, claimed.item_id, claimed.lease_token)
    expire_leases(store)
    assert take(store, EXPERT, ANN).item_id == claimed.item_id
    with store.read() as connection:
        assert connection.scalars(select(leases.c.ended).order_by(leases.c.granted_at)).all() == [
            "expired",
            "expired",
            None,
        ]


def test_an_expired_lease_that_was_freed_and_not_taken_is_held_again(store: Store) -> None:
    ask(store, CROWD, "text")
    claimed, tasks = take(store, CROWD, ANN), {CROWD.name: CROWD}
    expire_leases(store)
    take(store, CROWD, BEN)  # frees both, and takes the first
    take(store, CROWD, EVE)
    assert slot_states(store, claimed.item_id).count("free") == 1
    with pytest.raises(ConflictError):
        heartbeat(store, tasks, ANN, claimed.item_id, claimed.lease_token)
    late = person("late")
    held = take(store, CROWD, late)
    expire_leases(store)
    claim(store, CROWD, BEN, 1, label="nothing")  # frees all, and takes none
    assert slot_states(store, claimed.item_id) == ["free"] * 3
    heartbeat(store, tasks, late, held.item_id, held.lease_token)
    assert slot_states(store, claimed.item_id).count("leased") == 1
    assert say(store, CROWD, late, held, "parcel").counted


def _answer(store: Store, tasks: Mapping[str, Task], who: Caller, item_id: str, token: str) -> object:
    return answer(store, tasks, who, item_id, token, Said("label", "parcel"))


@pytest.mark.parametrize(("act", "does"), [("answer", _answer), ("heartbeat", heartbeat), ("release", release)])
def test_a_stolen_token_is_refused_and_noted(store: Store, act: str, does: Callable[..., object]) -> None:
    ask(store, EXPERT, "text")
    claimed = take(store, EXPERT, ANN)
    with pytest.raises(ForbiddenError):
        does(store, {EXPERT.name: EXPERT}, EVE, claimed.item_id, claimed.lease_token)
    with store.read() as connection:
        noted = connection.execute(select(audit.c.actor, audit.c.object, audit.c.details)).all()
        assert connection.execute(select(slots.c.annotator)).scalar_one() == "ann"
    assert [tuple(row) for row in noted] == [("eve", claimed.item_id, {"what": act})]
    assert say(store, EXPERT, ANN, claimed, "parcel").counted


def test_unknown_tokens_and_ungranted_tasks_are_not_found(store: Store) -> None:
    ask(store, EXPERT, "one", "two")
    claimed, other = claim(store, EXPERT, ANN, 2)
    tasks = {EXPERT.name: EXPERT}
    for item_id, token in ((claimed.item_id, "x"), (other.item_id, claimed.lease_token), (new_id(), "x")):
        with pytest.raises(NotFoundError):
            heartbeat(store, tasks, ANN, item_id, token)
    with pytest.raises(NotFoundError):
        heartbeat(store, {}, ANN, claimed.item_id, claimed.lease_token)
    elsewhere = Caller("ann", "annotator", None, frozenset({"post"}))
    with pytest.raises(UngrantedError):
        heartbeat(store, tasks, elsewhere, claimed.item_id, claimed.lease_token)


def test_an_item_that_was_skipped_goes_to_somebody_else(store: Store) -> None:
    (item,) = ask(store, EXPERT, "text")
    answered = reply(store, EXPERT, ANN, Said("skip"))
    assert (answered.counted, answered.resolution) == (True, None)
    assert claim(store, EXPERT, ANN, 5) == []
    assert take(store, EXPERT, BEN).item_id == item


def test_every_lease_is_on_record(store: Store) -> None:
    ask(store, EXPERT, "a", "b", "c")
    first, second, third = claim(store, EXPERT, ANN, 3)
    say(store, EXPERT, ANN, first, "parcel")
    say(store, EXPERT, ANN, second, Said("skip"))
    release(store, {EXPERT.name: EXPERT}, ANN, third.item_id, third.lease_token)
    with store.read() as connection:
        ended = dict(connection.execute(select(leases.c.item_id, leases.c.ended)).all())
        assert connection.scalars(select(items.c.state).where(items.c.id == first.item_id)).all() == ["resolved"]
    assert ended == {first.item_id: "answered", second.item_id: "skipped", third.item_id: "released"}
