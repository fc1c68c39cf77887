"""What people say of items they hold: answers, skips and flags, each one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from core.errors import ConflictError, Fault, InvalidError, NotFoundError
from core.ids import new_id
from core.roles import Caller
from feedback.clashes import write_again
from feedback.effects import Answered, Case, Kind, Said, carry_out
from feedback.facts import OUTSIDE, Quality, Value
from feedback.leases import find_lease, refusals_noted
from feedback.quality import read_quality
from feedback.resolution import Resolution, read_votes
from feedback.schema import encounters, items, slots
from feedback.store import Store
from feedback.undoing import Undone, undo
from feedback.upsert import insert_new
from feedback.values import value_of
from tasks.declaration import Task

__all__ = ["Answered", "Given", "Kind", "Resolution", "Said", "Undone", "answer", "answer_within", "undo"]

_ITEM = select(items).where(items.c.id == bindparam("item")).with_for_update(key_share=True)
_SLOTS = select(slots).where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"))
_OWN_SLOTS = _SLOTS.where(or_(slots.c.id == bindparam("slot"), slots.c.annotator == bindparam("person")))


@dataclass(frozen=True, slots=True)
class Given:
    """What is said of an item, and the lease by which it is said.

    `decided_at` makes it a reviewer's decision of that moment, which counts whatever check items say of the reviewer.
    """

    item_id: str
    token: str
    said: Said
    decided_at: datetime | None = None


def answer(store: Store, tasks: Mapping[str, Task], caller: Caller, item_id: str, token: str, said: Said) -> Answered:
    """Keep what the caller says of an item they hold, or held, and do what follows from it.

    Raises:
        NotFoundError: there is no such lease, or its task is not served or not granted, or the item was erased.
        ForbiddenError: the lease is somebody else's.
        ConflictError: the lease was released, or this person has answered already.
        InvalidError: the answer is none that the task takes.
    """
    given = Given(item_id, token, said)
    with refusals_noted(store, caller, "answer", item_id):
        return write_again(store, lambda connection: answer_within(store, connection, tasks, caller, given))


def answer_within(
    store: Store, connection: Connection, tasks: Mapping[str, Task], caller: Caller, given: Given
) -> Answered:
    """Do what `answer` does, in a transaction that has begun; raises the same."""
    said = given.said
    item = connection.execute(_ITEM, {"item": given.item_id}).first()
    lease = find_lease(connection, tasks, caller, given.item_id, given.token)
    if lease.ended not in {None, "expired"}:
        raise ConflictError(f"this lease has ended: it was {lease.ended} before")
    task = tasks[lease.task]
    value = _value(task, said)
    if item is None or item.state == "erased":
        raise NotFoundError("the item's text was erased in the meantime; claim another item")
    _meet(connection, lease)
    votes = [] if item.state == "check" else read_votes(connection, task, item)
    quality = read_quality(connection, task.name, {caller.person, *(one.vote.annotator for one in votes)})
    if given.decided_at is not None:
        quality.pop(caller.person, None)
    trusted = quality.get(caller.person, Quality()).trusted
    rows = _slots(connection, item, lease)
    held = _held(item, lease, rows)
    now = given.decided_at or store.now(connection)
    case = Case(new_id(), task, caller, said, value, lease, item, rows, held, trusted, now)
    return carry_out(store, connection, case, votes, quality)


def _value(task: Task, said: Said) -> Value | None:
    """Return what is said as ids; None for a skip or a flag."""
    if said.kind in {"skip", "flag"}:
        return None
    if said.kind == "out_of_scope":
        return OUTSIDE
    if said.kind == "spans":
        raise InvalidError([Fault(("spans",), f"the task {task.name} does not ask for spans")])
    if said.kind == "label":
        if said.value == OUTSIDE:
            raise InvalidError([Fault(("label",), f'{OUTSIDE!r} is no label; send "out_of_scope": true')])
        return value_of(task, str(said.value), None)
    names = [said.value] if isinstance(said.value, str) else list(said.value or ())
    return value_of(task, None, names)


def _meet(connection: Connection, lease: Row[Any]) -> None:
    """Remember that the person has met the item in this round, for the first time."""
    met = {"item_id": lease.item_id, "round": lease.round, "annotator": lease.annotator}
    if connection.execute(insert_new(connection, encounters), met).rowcount == 0:
        raise ConflictError("you have answered, skipped or flagged this item already; undo that to say something else")


def _slots(connection: Connection, item: Row[Any], lease: Row[Any]) -> list[Row[Any]]:
    """Return the slots of the lease's round; of a check item, of which there are many, their person's."""
    where = {"item": item.id, "turn": lease.round}
    if item.state == "check":
        return list(connection.execute(_OWN_SLOTS, {**where, "slot": lease.slot_id, "person": lease.annotator}))
    return list(connection.execute(_SLOTS, where))


def _held(item: Row[Any], lease: Row[Any], rows: Sequence[Row[Any]]) -> Row[Any] | None:
    """Return the slot that the answer takes: the one its person holds, or held and nobody was given since."""
    if item.state not in {"open", "check"} or item.round != lease.round:
        return None
    for row in rows:
        if row.state == "leased" and row.annotator == lease.annotator:
            return row
    if item.state == "check":
        return rows[0]
    return next((row for row in rows if row.id == lease.slot_id and row.state == "free"), None)
