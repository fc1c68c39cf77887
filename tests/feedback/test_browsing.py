"""The audit log, keys, people, webhooks and items as the pages of administration read them; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update

from core.ids import first_id
from core.roles import Caller
from feedback.audit import head, note, seal
from feedback.audit_view import browse_entries, list_actions, sealing
from feedback.deliveries import Outcome, note_outcomes, take_due
from feedback.item_links import item_links
from feedback.item_view import find_item
from feedback.key_view import Shown, browse_keys
from feedback.keys import create_key, revoke_key
from feedback.outbox import Event, emit
from feedback.people import MOST_COUNTED, Work, list_people
from feedback.quality import note_check
from feedback.revisions import note_revision
from feedback.schema import answers, audit, keys
from feedback.store import Store, open_store
from feedback.webhook_view import webhook_health
from feedback.webhooks import add_webhook, remove_webhook
from tests.support.queue import ask, make_task, person, reply, say, take
from tests.support.scene import Scene
from tests.support.scene import make_task as scene_task

ANN, BOB, ROOT = Caller("ann", "annotator"), Caller("bob", "reviewer"), Caller("root", "admin")


def write_down(store: Store, *entries: tuple[Caller, str]) -> None:
    with store.write() as connection:
        for number, (caller, action) in enumerate(entries):
            note(connection, caller, action, f"thing-{number}", n=number)


# The audit log


def seen(store: Store, **wanted: Any) -> list[tuple[str, str]]:
    return [(one.entry.actor, one.entry.action) for one in browse_entries(store, **wanted)]


def test_the_log_is_read_from_its_end(store: Store) -> None:
    write_down(store, (ANN, "answer"), (BOB, "answer"), (ANN, "undo"), (ROOT, "keys.create"))
    assert seen(store) == [("root", "keys.create"), ("ann", "undo"), ("bob", "answer"), ("ann", "answer")]
    assert seen(store, actor="ann") == [("ann", "undo"), ("ann", "answer")]
    assert seen(store, action="answer") == [("bob", "answer"), ("ann", "answer")]
    assert seen(store, actor="bob", action="answer") == [("bob", "answer")]
    assert seen(store, actor="bob", action="undo") == []
    assert seen(store, actor="nobody") == []
    assert list_actions(store) == ["answer", "keys.create", "undo"]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    made=st.lists(st.tuples(st.sampled_from([ANN, BOB, ROOT]), st.sampled_from(["a", "b", "c"])), max_size=12),
    limit=st.integers(1, 5),
    actor=st.sampled_from([None, "ann", "bob"]),
    action=st.sampled_from([None, "a", "b"]),
)
def test_pages_follow_each_other_without_gap_or_repetition(
    store: Store, made: list[tuple[Caller, str]], limit: int, actor: str | None, action: str | None
) -> None:
    write_down(store, *made)
    whole = browse_entries(store, limit=10_000, actor=actor, action=action)
    paged, before = [], None
    while page := browse_entries(store, before=before, limit=limit, actor=actor, action=action):
        assert len(page) <= limit
        paged += page
        before = page[-1].entry.id
    assert paged == whole


def test_it_tells_what_is_sealed(store: Store) -> None:
    nothing = sealing(store)
    assert (nothing.head.seal, nothing.sealed_at, nothing.unsealed) == (0, None, 0)
    write_down(store, (ANN, "answer"), (BOB, "answer"))
    seal(store)
    write_down(store, (ANN, "undo"))
    told = sealing(store)
    assert (told.head, told.unsealed) == (head(store), 1)
    assert told.sealed_at is not None
    assert [one.seal for one in browse_entries(store)] == [None, 1, 1]


# Keys


def test_keys_are_shown_by_whether_they_let_somebody_in(store: Store) -> None:
    made = {name: create_key(store, ROOT, person=name, role="app")[0] for name in ("good", "revoked", "expired")}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    lasting, _ = create_key(store, ROOT, person="good", role="admin", expires_at=tomorrow)
    revoke_key(store, ROOT, made["revoked"].id)
    with store.write() as connection:
        past = store.now(connection) - timedelta(seconds=1)
        connection.execute(update(keys).where(keys.c.id == made["expired"].id).values(expires_at=past))

    def shown(show: Shown, **more: Any) -> list[str]:
        return [key.id for key in browse_keys(store, show, **more)]

    assert shown("good") == [lasting.id, made["good"].id]
    assert shown("revoked") == [made["revoked"].id]
    assert shown("expired") == [made["expired"].id]
    assert len(shown("all")) == 4
    assert shown("all", person="expired") == [made["expired"].id]
    assert shown("good", limit=1) == [lasting.id]
    assert shown("good", before=lasting.id) == [made["good"].id]


# People


def test_people_have_keys_or_have_answered(store: Store) -> None:
    task = make_task("crowd", name="mail")
    create_key(store, ROOT, person="zoe", role="annotator", tasks=["mail"])
    create_key(store, ROOT, person="ann", role="reviewer")
    ask(store, task, "one", "two")
    reply(store, task, person("ann"), "parcel")
    reply(store, task, person("mia"), "parcel")
    with store.write() as connection:
        note_check(store, connection, task, "kim", 1, 1)
        note_check(store, connection, task, "kim", 1, 2)
    people = {one.name: one for one in list_people(store, ["mail", "other"])}
    assert list(people) == ["ann", "kim", "mia", "zoe"]
    assert [key.role for key in people["ann"].keys] == ["reviewer"]
    assert [(work.task, work.answers, work.checks) for work in people["ann"].work] == [("mail", 1, 0)]
    assert people["ann"].work[0].last_answer_at is not None
    assert people["mia"].keys == ()
    kim = people["kim"].work[0]
    assert (kim.answers, kim.checks, kim.right, kim.accuracy, kim.trusted) == (0, 2, 1, 0.5, True)
    assert people["zoe"].work == ()
    assert people["zoe"].last_used_at is None


def test_people_come_a_page_at_a_time(store: Store) -> None:
    names = ["Ann", "ann", "Émile", "bob", "王伟", "zoe"]
    for name in names:
        create_key(store, ROOT, person=name, role="app")
    paged: list[str] = []
    while page := list_people(store, ["mail"], after=paged[-1] if paged else "", limit=2):
        paged += [one.name for one in page]
    assert sorted(paged) == sorted(names)


def test_somebody_who_is_not_trusted_is_seen(store: Store) -> None:
    task = make_task("crowd", trust_after=2, trust_floor=0.8)
    with store.write() as connection:
        for _ in range(4):
            note_check(store, connection, task, "mal", 1, 2)
    (mal,) = list_people(store, [task.name])
    assert [(work.trusted, work.accuracy) for work in mal.work] == [(False, 0.0)]


def test_old_answers_are_not_lately_and_accuracy_needs_checks(store: Store) -> None:
    task = make_task("crowd", name="mail")
    ask(store, task, "one")
    reply(store, task, person("ann"), "parcel")
    long_ago = datetime.now(UTC) - timedelta(days=60)
    with store.write() as connection:
        connection.execute(update(answers).values(id=first_id(long_ago)))
    (ann,) = list_people(store, ["mail"])
    (work,) = ann.work
    assert isinstance(work, Work)
    assert (work.answers, work.accuracy) == (0, None)
    assert work.last_answer_at is not None
    assert abs(work.last_answer_at - long_ago) < timedelta(seconds=1)


# Webhooks


def test_webhooks_tell_how_deliveries_go_but_not_the_whole_address(store: Store) -> None:
    url = "https://hooks.example.com/services/secret-token?more=secret"
    hook = add_webhook(store, ROOT, url, ["item.created"], private=False)
    gone = add_webhook(store, ROOT, url, None, private=True)
    with store.write() as connection:
        emit(connection, [Event("item.created", "mail", {"n": n}) for n in range(3)])
    first, second, third = take_due(store, hook.id, 3)
    outcomes = [Outcome(first, 200, None), Outcome(second, 500, "it answered 500")]
    note_outcomes(store, hook.id, outcomes, lambda: 0.5)
    remove_webhook(store, ROOT, gone.id)
    (shown,) = webhook_health(store)
    assert (shown.host, shown.events, shown.private) == ("hooks.example.com", ("item.created",), False)
    assert (shown.due, shown.delivered, shown.failed) == (2, 1, 0)
    assert (shown.status, shown.error) == (500, "it answered 500")
    assert "secret" not in repr(shown)
    assert third.webhook_id == hook.id


# Items


def test_an_item_has_its_latest_predictions_and_reports(store: Store) -> None:
    task = scene_task()
    note_revision(store, task)
    scene = Scene(store, task)
    first = scene.predict("where is it")
    second = scene.predict("where is it")
    assert first.item is not None
    item_id = first.item.id
    scene.report(first.id, label="refund", comment="look again", source="agent-desk")
    links = item_links(store, item_id, 10)
    assert [one.id for one in links.predictions] == [second.id, first.id]
    assert [(one.label, one.reason) for one in links.predictions] == [("parcel", "low_confidence")] * 2
    (report,) = links.reports
    told = (report.prediction_id, report.correct, report.label, report.comment, report.source)
    assert told == (first.id, False, "refund", "look again", "agent-desk")
    assert [one.id for one in item_links(store, item_id, 1).predictions] == [second.id]
    found = find_item(store, item_id, most=1)
    assert found is not None
    assert found["predictions"] == [first.id]


# Cost


def steps_of(store: Store, work: Callable[[], object]) -> int:
    """Return how many hundred steps SQLite's virtual machine takes for `work`."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watch(connection: Any, *_: Any) -> None:
        connection.set_progress_handler(count, 100)

    event.listen(store.engine, "checkout", watch)
    try:
        work()
    finally:
        event.remove(store.engine, "checkout", watch)
    return steps


@pytest.fixture
def store_of(tmp_path: Path) -> Callable[[int], Store]:
    """A log and a queue of so many entries and answers, most of them by one person and of one kind."""
    task = make_task("crowd", name="mail")

    def make(size: int) -> Store:
        store = open_store(f"sqlite:///{tmp_path / f'{size}.sqlite3'}")
        create_key(store, ROOT, person="zoe", role="app")
        ask(store, task, "one")
        held = take(store, task, person("ann"))
        say(store, task, person("ann"), held, "parcel")
        moment = datetime.now(UTC)
        with store.write() as connection:
            (row,) = connection.execute(answers.select()).mappings().all()
            more = [dict(row) | {"id": f"{row['id'][:-7]}{n:07x}"} for n in range(size)]
            connection.execute(answers.insert(), more)
            entry = {"role": "annotator", "object": "o", "details": {}, "created_at": moment}
            busy = [entry | {"actor": "ann", "action": "answer"} for _ in range(size)]
            connection.execute(audit.insert(), busy)
        return store

    return make


def test_it_costs_the_same_however_much_there_is(store_of: Callable[[int], Store]) -> None:
    def work(store: Store) -> Callable[[], object]:
        return lambda: (
            browse_entries(store, limit=50),
            browse_entries(store, limit=50, actor="ann"),
            browse_entries(store, limit=50, actor="ann", action="answer"),
            browse_entries(store, limit=50, actor="zoe"),
            browse_entries(store, limit=50, action="keys.create"),
            browse_entries(store, limit=50, actor="ann", action="keys.create"),
            list_actions(store),
            sealing(store),
            list_people(store, ["mail"]),
            browse_keys(store, "good"),
            webhook_health(store),
        )

    few, many = (steps_of(store, work(store)) for store in map(store_of, (MOST_COUNTED, 20 * MOST_COUNTED)))
    assert few > 0
    assert many <= 1.2 * few
