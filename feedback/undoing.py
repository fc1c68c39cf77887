"""Taking an answer back: the person holds the item again, and an item that the answer resolved is open again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from core.errors import ConflictError, ForbiddenError, NotFoundError, UngrantedError
from core.roles import Caller
from feedback.asking import lock_items, reopen, reopened
from feedback.audit import note
from feedback.clashes import write_again
from feedback.items import loaded
from feedback.leases import hold, new_token, refusals_noted
from feedback.mappings import mapped, read_maps
from feedback.quality import note_check, read_quality
from feedback.resolution import Place, Resolution, read_votes, settle
from feedback.schema import answers, encounters, leases, resolutions, slots, undoings
from feedback.snapshots import used_in
from feedback.store import Store
from feedback.tallies import add_tallies
from feedback.upsert import insert_new
from tasks.declaration import Task

_ANSWER = select(answers).where(answers.c.id == bindparam("answer"), answers.c.item_id == bindparam("item"))
_SLOT = select(slots).where(slots.c.id == bindparam("slot"))
_SLOTS = select(slots).where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"))
_USED = select(resolutions.c.answer_ids).where(resolutions.c.id == bindparam("settled"))
_FORGET = delete(encounters).where(
    encounters.c.item_id == bindparam("item"),
    encounters.c.round == bindparam("turn"),
    encounters.c.annotator == bindparam("person"),
)


@dataclass(frozen=True, slots=True)
class Undone:
    """The item that the person holds again, to be answered anew."""

    item_id: str
    lease_token: str
    lease_expires_at: datetime


def undo(store: Store, tasks: Mapping[str, Task], caller: Caller, item_id: str, answer_id: str) -> Undone:
    """Take an answer of the caller's own back, and lease its slot to them again.

    Where somebody else was given the slot meanwhile (after a skip), what they answer now is kept as an extra answer.

    Raises:
        NotFoundError: there is no such answer, or its task is not served or not granted, or the item was erased.
        ForbiddenError: somebody else gave it.
        ConflictError: it was taken back before, a snapshot has used it, or the item has been asked again since.
    """
    with refusals_noted(store, caller, "undo", item_id):
        return write_again(store, lambda connection: _undo(store, connection, tasks, caller, item_id, answer_id))


def _undo(
    store: Store, connection: Connection, tasks: Mapping[str, Task], caller: Caller, item_id: str, answer_id: str
) -> Undone:
    found = lock_items(connection, [item_id])
    given = connection.execute(_ANSWER, {"answer": answer_id, "item": item_id}).first()
    if not found or given is None or given.task not in tasks or found[0].state == "erased":
        raise NotFoundError(f"there is no answer {answer_id!r} of that item")
    item, now = found[0], store.now(connection)
    _check_own(caller, given)
    number = used_in(connection, item_id, answer_id)
    if number is not None:
        raise ConflictError(
            f"snapshot {number} of {given.task} has used this answer, and models may have learnt from it; ask a "
            "reviewer to decide the item anew, or to send it back"
        )
    if item.round != given.round:
        raise ConflictError("the item has been asked again since, and this answer does not count any more; claim it")
    taken = {"answer_id": answer_id, "annotator": caller.person, "created_at": now}
    if connection.execute(insert_new(connection, undoings), taken).rowcount == 0:
        raise ConflictError("this answer was taken back before")
    connection.execute(_FORGET, {"item": item_id, "turn": given.round, "person": caller.person})
    task = tasks[given.task]
    if item.state == "check":
        _forget_check(store, connection, task, item, given)
    opened = [item] if _was_resolved_with(connection, item, given) else []
    if opened:
        reopen(connection, opened)
    undone, deltas = _lease_again(connection, task, given, now), reopened(opened)
    if _is_still_theirs(connection, item, given, is_open=bool(opened) or item.state != "resolved"):
        until = hold(store, connection, task, given.slot_id, caller.person, undone.lease_token)
        undone = replace(undone, lease_expires_at=until)
    elif opened and _settle_again(connection, task, item, now) is not None:
        deltas.clear()
    note(connection, caller, "undo", item_id, answer=answer_id)
    add_tallies(store, connection, deltas)
    return undone


def _check_own(caller: Caller, given: Row[Any]) -> None:
    if not caller.may_see(given.task):
        raise UngrantedError(f"there is no answer {given.id!r} of that item")
    if given.annotator != caller.person:
        raise ForbiddenError("this answer is somebody else's; only the one who gave it can take it back")


def _was_resolved_with(connection: Connection, item: Row[Any], given: Row[Any]) -> bool:
    """Tell whether the item's resolution rests on the answer."""
    if item.state != "resolved":
        return False
    used = connection.execute(_USED, {"settled": item.resolution_id}).scalar_one()
    return given.id in used


def _settle_again(connection: Connection, task: Task, item: Row[Any], now: datetime) -> Resolution | None:
    """Decide anew about an item whose resolution rested on an extra answer: no slot of it waits for anybody."""
    votes = read_votes(connection, task, item)
    rows = connection.execute(_SLOTS, {"item": item.id, "turn": item.round})
    places = [Place(row.state, row.stage, row.number) for row in rows]
    quality = read_quality(connection, task.name, {one.vote.annotator for one in votes})
    return settle(connection, task, item, places, votes, quality, now)


def _forget_check(store: Store, connection: Connection, task: Task, item: Row[Any], given: Row[Any]) -> None:
    """Take back what the answer to a check item said of its annotator."""
    if given.value is None:
        return
    maps = read_maps(connection, task)
    known = mapped(loaded(item.check_value), maps.get(item.revision))
    said = mapped(loaded(given.value), maps.get(given.revision))
    if known is not None and said is not None:
        note_check(store, connection, task, given.annotator, known, said, undone=True)


def _lease_again(connection: Connection, task: Task, given: Row[Any], now: datetime) -> Undone:
    """Write a new lease on the answer's slot, by which its person can answer in any case."""
    lease = {
        "token": new_token(),
        "slot_id": given.slot_id,
        "item_id": given.item_id,
        "round": given.round,
        "task": given.task,
        "annotator": given.annotator,
        "granted_at": now,
    }
    connection.execute(leases.insert(), lease)
    return Undone(given.item_id, lease["token"], now + timedelta(seconds=task.review.lease_seconds))


def _is_still_theirs(connection: Connection, item: Row[Any], given: Row[Any], *, is_open: bool) -> bool:
    """Tell whether the answer's slot can be held again: nobody else has it, and the item still wants an answer."""
    if not is_open:
        return False
    slot = connection.execute(_SLOT, {"slot": given.slot_id}).one()
    if slot.state == "closed":
        return bool(item.state == "check" or given.kind == "flag")
    return bool(slot.answer_id == given.id or slot.state == "free")
