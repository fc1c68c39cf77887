"""What webhooks are told: ids, names of labels' ids and figures; never a text, whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from core.ids import new_id
from core.roles import Caller
from feedback.answers import Said, answer
from feedback.facts import NewItem
from feedback.items import add_items
from feedback.outbox import EVENTS
from feedback.quality import note_check
from feedback.queue import claim
from feedback.schema import outbox
from feedback.store import Store
from feedback.texts import add_texts, new_text
from tasks.declaration import Label, Review, Task

TASK = Task(
    name="t",
    base="base",
    labels=[Label(id=1, name="parcel"), Label(id=2, name="refund")],
    review=Review(strategy="crowd", answers=2, most_answers=3, aggregation="majority", check_rate=0.0, trust_after=2),
)
TASKS = {"t": TASK}

PAYLOADS = {
    "item.created": {"item_id", "reason"},
    "item.resolved": {"item_id", "resolution_id", "reason", "value", "confirms", "answers", "method"},
    "alert.raised": {"alert", "annotator", "accuracy", "checks"},
}
"""What docs/ promises of each event that the queue emits."""

MARK = "xylophone"


def put_in(store: Store, count: int) -> None:
    now = datetime.now(UTC)
    kept = [new_text(new_id(), f"{MARK} {number}", f"{MARK}-subject", now) for number in range(count)]
    suggestions = (("parcel", 0.9), ("refund", 0.1))
    items = [
        NewItem(new_id(), "t", text.id, text.sha256, 1, "audit", suggestions, "en", 0.5, MARK, False, "crowd", 2, now)
        for text in kept
    ]
    with store.write() as connection:
        add_texts(connection, kept)
        add_items(store, connection, items)


def events(store: Store) -> list[tuple[str, str | None, dict[str, Any]]]:
    with store.read() as connection:
        wanted = select(outbox.c.event, outbox.c.task, outbox.c.payload).order_by(outbox.c.id)
        return [(name, task, payload) for name, task, payload in connection.execute(wanted)]


def test_no_event_holds_a_text(store: Store) -> None:
    put_in(store, 3)
    said = [
        Said("label", "parcel", comment=f"{MARK} comment", proposed_label=f"{MARK} label"),
        Said("label", "parcel"),
        Said("flag", f"{MARK} flag"),
    ]
    for person, one in zip(("ann", "bob", "cai"), said, strict=True):
        for held in claim(store, TASK, Caller(person, "annotator"), 3):
            answer(store, TASKS, Caller(person, "annotator"), held.item_id, held.lease_token, one)
    with store.write() as connection:
        for _ in range(9):
            note_check(store, connection, TASK, "bob", known=1, given=2)
    told = events(store)
    assert {name for name, _, _ in told} == PAYLOADS.keys() < set(EVENTS)
    assert {task for _, task, _ in told} == {"t"}
    for name, _, payload in told:
        assert payload.keys() == PAYLOADS[name]
        assert MARK not in repr(payload)
    resolved = [payload for name, _, payload in told if name == "item.resolved"]
    assert [(one["value"], one["confirms"], one["answers"]) for one in resolved] == [(1, True, 2)] * len(resolved)
