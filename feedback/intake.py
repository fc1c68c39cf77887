"""Texts that are brought to the queue from outside, to be labelled or as check items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, delete, select, update

from core.errors import ConflictError
from core.ids import new_id
from core.roles import Caller
from feedback import audit
from feedback.facts import NewItem, NewText, Value
from feedback.items import add_items
from feedback.new_items import new_item
from feedback.schema import items, texts
from feedback.store import Store
from feedback.texts import add_texts, new_text
from tasks.declaration import Task


@dataclass(frozen=True, slots=True)
class Brought:
    """A text, redacted already, with what came with it; `known` is the answer that makes it a check item."""

    content: str
    subject: str | None = None
    metadata: dict[str, str] | None = None
    language: str | None = None
    known: Value | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The item that a text stands under now; `duplicate`: it was there before, or came earlier in the same call."""

    item_id: str
    duplicate: bool


def take_in(store: Store, task: Task, caller: Caller, brought: Sequence[Brought], urgency: float) -> list[Taken]:
    """Make items of `brought`, all or none, and return one result each, in order.

    A text of which an exact copy is open already shares that item; a check item shares an open one with the same text.

    Raises:
        ConflictError: a check item with the same text knows another answer.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        store.lock(connection, f"intake {task.name}")
        now = store.now(connection)
        fresh = [new_text(new_id(), one.content, one.subject, now) for one in brought]
        new = [_item(task, text, one, urgency) for text, one in zip(fresh, brought, strict=True)]
        known = _known_checks(connection, new)
        wanted = [item for item in new if item.id not in known]
        add_texts(connection, fresh)
        stands = known | add_items(store, connection, wanted)
        _settle_texts(connection, new, brought, stands)
        made = sum(stands[item.id] == item.id for item in new)
        audit.note(connection, caller, "import", task.name, texts=len(new), items=made)
    return [Taken(stands[item.id], stands[item.id] != item.id) for item in new]


def _item(task: Task, text: NewText, one: Brought, urgency: float) -> NewItem:
    item = new_item(task, text, "imported", urgency, language=one.language)
    return item if one.known is None else replace(item, reason="check", check_value=one.known)


def _known_checks(connection: Connection, new: Sequence[NewItem]) -> dict[str, str]:
    """Return which check items have an open one with their text already, here or earlier in `new`."""
    checks = [item for item in new if item.check_value is not None]
    if not checks:
        return {}
    hashes = {item.text_sha256 for item in checks}
    open_checks = (
        select(items.c.text_sha256, items.c.id, items.c.check_value)
        .where(items.c.text_sha256.in_(hashes), items.c.task == checks[0].task)
        .where(items.c.check_value.is_not(None), items.c.state == "check")
    )
    there = {row[0]: (row[1], _comparable(row[2])) for row in connection.execute(open_checks)}
    known = {}
    for item in checks:
        found, value = there.setdefault(item.text_sha256, (item.id, item.check_value))
        if value != item.check_value:
            raise ConflictError(f"check item {found} has the same text and another known answer; correct one of them")
        if found != item.id:
            known[item.id] = found
    return known


def _comparable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _settle_texts(
    connection: Connection, new: Sequence[NewItem], brought: Sequence[Brought], stands: dict[str, str]
) -> None:
    """Drop the texts of copies, which nothing refers to, and keep what came with the others."""
    copies = [item.text_id for item in new if stands[item.id] != item.id]
    if copies:
        connection.execute(delete(texts).where(texts.c.id.in_(copies)))
    described = [
        {"text": item.text_id, "data": one.metadata}
        for item, one in zip(new, brought, strict=True)
        if one.metadata and stands[item.id] == item.id
    ]
    if described:
        changed = update(texts).where(texts.c.id == bindparam("text")).values(metadata=bindparam("data"))
        connection.execute(changed, described)
