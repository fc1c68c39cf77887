"""A report that counts as one answer of a crowd, where the task says that reports do."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from core.ids import new_id
from core.roles import Caller
from feedback.facts import Value, Vote
from feedback.items import stored
from feedback.leases import lock_item
from feedback.quality import read_quality
from feedback.resolution import Counted, Place, kind_of, read_votes, settle
from feedback.schema import answers, encounters, items, slots
from feedback.store import Store
from feedback.tallies import add_tallies
from feedback.upsert import insert_new
from tasks.declaration import Task

_ITEM = select(items).where(items.c.id == bindparam("item"))
_SLOTS = (
    select(slots.c.id, slots.c.state, slots.c.stage, slots.c.number)
    .where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"))
    .order_by(slots.c.number)
)


def count_as_answer(
    store: Store, connection: Connection, task: Task, item_id: str, caller: Caller, value: Value, now: datetime
) -> None:
    """Let what an application says be a vote on an open item that a crowd is asked about.

    It takes a free slot where there is one. All users of one key are one voter, `app:PERSON`, who votes once a round:
    what they say after that changes nothing.
    """
    lock_item(store, connection, item_id)
    item = connection.execute(_ITEM, {"item": item_id}).one()
    if task.review.strategy == "expert" or item.state != "open" or item.stage != "crowd":
        return
    voter = f"app:{caller.person}"[:200]
    met = {"item_id": item_id, "round": item.round, "annotator": voter}
    if connection.execute(insert_new(connection, encounters), met).rowcount == 0:
        return
    votes = read_votes(connection, task, item)
    rows = connection.execute(_SLOTS, {"item": item_id, "turn": item.round}).all()
    free = next((row for row in rows if row.state == "free" and row.stage == "crowd"), None)
    answer = {
        "id": new_id(),
        "task": task.name,
        "item_id": item_id,
        "round": item.round,
        "slot_id": free.id if free else None,
        "annotator": voter,
        "role": "app",
        "key_id": caller.key_id,
        "revision": task.revision,
        "kind": kind_of(value),
        "value": stored(value),
        "counted": "true" if free else "extra",
        "created_at": now,
    }
    _keep(connection, answer)
    resolution = None
    if free is not None:
        quality = read_quality(connection, task.name, {voter, *(one.vote.annotator for one in votes)})
        places = [Place("answered" if row is free else row.state, row.stage, row.number) for row in rows]
        own = Counted(str(answer["id"]), Vote(voter, value))
        resolution = settle(connection, task, item, places, [*votes, own], quality, now)
    deltas = Counter({(task.name, "answers.app"): 1})
    if resolution is not None:
        deltas[task.name, f"items.open.{item.reason}"] -= 1
        deltas[task.name, f"items.resolved.{item.reason}"] += 1
    add_tallies(store, connection, deltas)


def _keep(connection: Connection, answer: dict[str, Any]) -> None:
    """Write the answer, and take its slot if there is one."""
    connection.execute(answers.insert().values(answer))
    if answer["slot_id"] is not None:
        taken = {"state": "answered", "annotator": answer["annotator"], "answer_id": answer["id"]}
        connection.execute(update(slots).where(slots.c.id == answer["slot_id"]).values(taken))
