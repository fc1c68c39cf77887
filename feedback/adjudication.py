"""What reviewers do about items that people disagree on, or got wrong: decide, or ask the annotators again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.errors import ConflictError, Fault, InvalidError, NotFoundError, UngrantedError
from core.roles import Caller
from feedback.answers import Answered, Given, Said, answer_within
from feedback.asking import begin_round, lock_items, reopened
from feedback.audit import note
from feedback.clashes import write_again
from feedback.leases import empty_slot, end_lease, hold, new_token
from feedback.new_items import first_asked
from feedback.resolution import ask_expert
from feedback.schema import encounters, leases, slots
from feedback.store import Store
from feedback.tallies import add_tallies
from tasks.declaration import Task

_DECIDED = 2
"""Number of the slot of a round that begins with a decision: taken back, it is a dispute like any other."""

_SLOTS = (
    select(slots)
    .where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"))
    .order_by(slots.c.number)
    .with_for_update()
)
_MET = select(encounters.c.item_id).where(
    encounters.c.item_id == bindparam("item"),
    encounters.c.round == bindparam("turn"),
    encounters.c.annotator == bindparam("person"),
)


@dataclass(frozen=True, slots=True)
class SentBack:
    """An item that people are asked about again: its new `round`, who (`crowd` or `expert`), and how many of them."""

    item_id: str
    round: int
    stage: str
    answers: int


def decide(
    store: Store, tasks: Mapping[str, Task], caller: Caller, item_id: str, said: Said, *, reopen: bool = False
) -> Answered:
    """Settle an item by a reviewer's word, whoever was asked about it or holds it; what they say later is kept.

    It is an answer like any other, and can be taken back like one. An item that is resolved, or that the reviewer has
    answered, is decided in a new round: earlier answers and resolutions stay as history. `reopen` must be said for a
    resolved one, so that nobody overrules a colleague unawares.

    Raises:
        NotFoundError: there is no such item, its task is not served or not granted, or it was erased.
        ConflictError: it is resolved, and `reopen` was not said; or it is a check item, or merged into another.
        InvalidError: the answer is none that the task takes.
    """

    def work(connection: Connection) -> Answered:
        item = _find(connection, tasks, caller, item_id, reopen=reopen)
        task, now = tasks[item.task], store.now(connection)
        before = [item] if item.state == "resolved" else []
        if before or _has_met(connection, item, caller):
            begin_round(connection, task, [item], "expert", [_DECIDED])
            (item,) = lock_items(connection, [item_id])
        token = _take_slot(store, connection, task, item, caller, now)
        note(connection, caller, "decide", item_id, round=item.round)
        answered = answer_within(store, connection, tasks, caller, Given(item_id, token, said, decided_at=now))
        add_tallies(store, connection, reopened(before))
        return answered

    return write_again(store, work)


def send_back(
    store: Store,
    tasks: Mapping[str, Task],
    caller: Caller,
    item_id: str,
    wanted: int | None = None,
    *,
    reopen: bool = False,
) -> SentBack:
    """Ask the annotators about an item again, `wanted` of them at first (None: as many as for a new item).

    Earlier answers and resolutions stay as history. `reopen` must be said for an item that is resolved.

    Raises:
        NotFoundError: there is no such item, its task is not served or not granted, or it was erased.
        ConflictError: it is resolved, and `reopen` was not said; the annotators are asked already; or it is a check
            item, or merged into another.
        InvalidError: the task's strategy takes one answer, and more are `wanted`.
    """

    def work(connection: Connection) -> SentBack:
        item = _find(connection, tasks, caller, item_id, reopen=reopen)
        stage, usual = first_asked(tasks[item.task].review)
        many = usual if wanted is None else wanted
        if stage == "expert" and many > 1:
            fault = f"the strategy of {item.task} takes one answer an item, not {many}; leave it out"
            raise InvalidError([Fault(("answers",), fault)])
        if item.state == "open" and not any(map(_waits_for_expert, _slots(connection, item))):
            raise ConflictError("the annotators are asked about this item already; wait for their answers, or decide")
        begin_round(connection, tasks[item.task], [item], stage, range(1, many + 1))
        note(connection, caller, "send_back", item_id, round=item.round + 1, answers=many)
        add_tallies(store, connection, reopened([item]))
        return SentBack(item_id, item.round + 1, stage, many)

    return write_again(store, work)


def _find(connection: Connection, tasks: Mapping[str, Task], caller: Caller, item_id: str, *, reopen: bool) -> Row[Any]:
    """Return an item that can be decided, which nobody else changes before this transaction ends."""
    found = lock_items(connection, [item_id])
    if not found or found[0].task not in tasks or found[0].state == "erased":
        raise NotFoundError(f"no item {item_id!r}, or its text was erased")
    item = found[0]
    if not caller.may_see(item.task):
        raise UngrantedError(f"no item {item_id!r}, or its text was erased")
    if item.state == "check":
        raise ConflictError(f"{item_id} is a check item, whose answer is known; nothing is to be decided")
    if item.state == "merged":
        raise ConflictError(f"{item_id} is a copy of {item.same_as}; decide that one")
    if item.state == "resolved" and not reopen:
        raise ConflictError(f'{item_id} is resolved; look at it again, and send "reopen": true to change that')
    return item


def _has_met(connection: Connection, item: Row[Any], caller: Caller) -> bool:
    """Tell whether the caller has answered, skipped or flagged the item in its present round."""
    return connection.execute(_MET, {"item": item.id, "turn": item.round, "person": caller.person}).first() is not None


def _slots(connection: Connection, item: Row[Any]) -> Sequence[Row[Any]]:
    """Return the slots of the item's present round, which claims pass over until this transaction ends."""
    return connection.execute(_SLOTS, {"item": item.id, "turn": item.round}).all()


def _waits_for_expert(slot: Row[Any]) -> bool:
    """Tell what the index of disputes tells: an expert was asked after others."""
    return bool(slot.stage == "expert" and slot.number > 1 and slot.state in {"free", "leased"})


def _take_slot(store: Store, connection: Connection, task: Task, item: Row[Any], caller: Caller, now: datetime) -> str:
    """Let the caller hold an expert's slot, one more where others hold what there is; return the lease's token."""
    rows = _slots(connection, item)
    own = next((row for row in rows if row.state == "leased" and row.annotator == caller.person), None)
    if own is not None and own.stage == "expert":
        return str(own.lease_token)
    if own is not None:
        empty_slot(connection, own.id)
        end_lease(connection, own.lease_token, "released")
    free = next((row.id for row in rows if row.state == "free" and row.stage == "expert"), None)
    slot_id = free if free is not None else _one_more(connection, item, rows)
    token = new_token()
    lease = {"token": token, "slot_id": slot_id, "item_id": item.id, "round": item.round, "task": task.name}
    connection.execute(leases.insert(), {**lease, "annotator": caller.person, "granted_at": now})
    hold(store, connection, task, slot_id, caller.person, token)
    return token


def _one_more(connection: Connection, item: Row[Any], rows: Sequence[Row[Any]]) -> int:
    """Open a slot for an expert beside those there are; return its id."""
    known = {row.id for row in rows}
    ask_expert(connection, item, max((row.number for row in rows), default=1))
    new: int = next(row.id for row in _slots(connection, item) if row.id not in known)
    return new
