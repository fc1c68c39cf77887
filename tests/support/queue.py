"""What tests of the queue share: tasks, people, and items to ask about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from core.ids import new_id
from core.roles import Caller, Role
from feedback.answers import Answered, Said, answer
from feedback.facts import NewItem, Reason, Value
from feedback.items import add_items
from feedback.new_items import first_asked
from feedback.queue import Claimed, claim
from feedback.schema import items, slots, tallies
from feedback.store import Store
from feedback.texts import add_texts, new_text
from tasks.declaration import Task

LABELS = ("parcel", "refund", "password")


def make_task(strategy: str = "expert", *, name: str = "mail", kind: str = "single_label", **review: Any) -> Task:
    """Return a task with three labels, ids 1 to 3; without check items or hidden ones unless `review` says so."""
    return Task.model_validate(
        {
            "name": name,
            "kind": kind,
            "labels": [{"id": number, "name": label} for number, label in enumerate(LABELS, 1)],
            "review": {"strategy": strategy, "check_rate": 0.0, "hide_suggestions": 0.0, **review},
        }
    )


def person(name: str, role: Role = "annotator") -> Caller:
    """Return somebody with grants for every task."""
    return Caller(name, role)


def make_item(
    task: Task,
    text_id: str,
    sha256: str,
    *,
    suggestions: Sequence[tuple[str, float]] = (("parcel", 0.6), ("refund", 0.3)),
    reason: Reason = "low_confidence",
    urgency: float = 0.5,
    cluster: str | None = None,
    language: str | None = "en",
    hidden: bool = False,
    created_at: datetime | None = None,
    check_value: Value | None = None,
) -> NewItem:
    """Return an item about a text, as the task's strategy asks for it; by itself in its cluster unless told."""
    stage, wanted = first_asked(task.review)
    return NewItem(
        id=new_id(),
        task=task.name,
        text_id=text_id,
        text_sha256=sha256,
        revision=task.revision,
        reason=reason,
        suggestions=tuple(suggestions),
        language=language,
        urgency=urgency,
        cluster=cluster or sha256[:32],
        hidden=hidden,
        stage=stage,
        wanted=wanted,
        created_at=created_at or datetime.now(UTC),
        check_value=check_value,
    )


def ask(store: Store, task: Task, *contents: str, subject: str | None = None, **about: Any) -> list[str]:
    """Put an item for each text into the queue; return the items that stand for them."""
    fresh = [new_text(new_id(), content, subject, datetime.now(UTC)) for content in contents]
    new = [make_item(task, text.id, text.sha256, **about) for text in fresh]
    with store.write() as connection:
        add_texts(connection, fresh)
        stands = add_items(store, connection, new)
    return [stands[item.id] for item in new]


def take(store: Store, task: Task, who: Caller) -> Claimed:
    """Claim one item, which must be there."""
    (claimed,) = claim(store, task, who, 1)
    return claimed


def say(store: Store, task: Task, who: Caller, claimed: Claimed, said: str | Said) -> Answered:
    """Answer with a label's name, or with anything."""
    whole = said if isinstance(said, Said) else Said("label", said)
    return answer(store, {task.name: task}, who, claimed.item_id, claimed.lease_token, whole)


def reply(store: Store, task: Task, who: Caller, said: str | Said) -> Answered:
    """Claim one item and answer it."""
    return say(store, task, who, take(store, task, who), said)


def expire_leases(store: Store) -> None:
    """Let every lease that is held now have expired a second ago."""
    with store.write() as connection:
        past = store.now(connection) - timedelta(seconds=1)
        connection.execute(update(slots).where(slots.c.state == "leased").values(lease_expires_at=past))


def item_row(store: Store, item_id: str) -> Any:
    """Return an item's row."""
    with store.read() as connection:
        return connection.execute(select(items).where(items.c.id == item_id)).one()


def slot_states(store: Store, item_id: str) -> list[str]:
    """Return the states of the slots of an item's present round, in order."""
    joined = select(slots.c.state).join(items, (items.c.id == slots.c.item_id) & (items.c.round == slots.c.round))
    with store.read() as connection:
        return list(connection.scalars(joined.where(items.c.id == item_id).order_by(slots.c.number)))


def faults_of_counts(store: Store) -> list[str]:
    """Say where the running counts differ from the rows."""
    counted = select(items.c.task, items.c.state, items.c.reason, func.count()).group_by(
        items.c.task, items.c.state, items.c.reason
    )
    with store.read() as connection:
        real = {
            (task, f"items.{state}.{reason}"): n
            for task, state, reason, n in connection.execute(counted)
            if state in {"open", "resolved"}
        }
        kept = select(tallies.c.task, tallies.c.name, func.sum(tallies.c.n)).group_by(tallies.c.task, tallies.c.name)
        told = {(task, name): int(n) for task, name, n in connection.execute(kept) if name.startswith("items.") and n}
    return [
        f"{key}: {told.get(key, 0)} told, {real.get(key, 0)} real"
        for key in sorted({*real, *told})
        if told.get(key) != real.get(key)
    ]
