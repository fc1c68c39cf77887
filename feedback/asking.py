"""Asking people again, or more of them: rounds, stages and slots of items that exist already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from feedback.facts import Stage
from feedback.items import open_key
from feedback.leases import NOBODY
from feedback.new_items import first_asked
from feedback.schema import items, slots
from feedback.store import Store
from feedback.tallies import add_tallies
from tasks.declaration import Task

_ITEMS = (
    select(items)
    .where(items.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(items.c.id)
    .with_for_update(key_share=True)
)
_CLOSE = (
    update(slots)
    .where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"))
    .where(or_(slots.c.state == "free", slots.c.state == "leased"))
    .values(state="closed", **NOBODY)
)
_CLOSE_FREE = (
    update(slots)
    .where(slots.c.item_id == bindparam("item"), slots.c.round == bindparam("turn"), slots.c.state == "free")
    .values(state="closed", **NOBODY)
)
_twin = items.alias("twin")
_OPEN = update(items).where(items.c.id == bindparam("item")).values(state="open", resolution_id=None, resolved_at=None)
_TAKE_KEY = (
    update(items)
    .where(items.c.id == bindparam("item"))
    .where(~select(_twin.c.id).where(_twin.c.open_key == bindparam("key")).exists())
    .values(open_key=bindparam("key"))
)
_NEW_ROUND = (
    update(items)
    .where(items.c.id == bindparam("item"))
    .values(
        round=items.c.round + 1, stage=bindparam("who"), wanted=bindparam("answers"), revision=bindparam("declared")
    )
)


def lock_items(connection: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Return the rows of items, in the order of their ids, which nobody else changes before this transaction ends."""
    return connection.execute(_ITEMS, {"ids": list(ids)}).all()


def reopen(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Open items again, by their rows as they were; new copies share them, unless others with that text are open."""
    connection.execute(_OPEN, [{"item": row.id} for row in rows])
    keys = [{"item": row.id, "key": open_key(row.task, row.text_sha256)} for row in rows if row.open_key is None]
    if keys:
        connection.execute(_TAKE_KEY, keys)


def reopened(rows: Sequence[Row[Any]]) -> Counter[tuple[str, str]]:
    """Return what opening items again adds to the counts, by their rows as they were."""
    deltas: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.state == "resolved":
            deltas[row.task, f"items.resolved.{row.reason}"] -= 1
            deltas[row.task, f"items.open.{row.reason}"] += 1
    return deltas


def ask_again(store: Store, connection: Connection, task: Task, rows: Sequence[Row[Any]]) -> None:
    """Ask people again about open or resolved items, in a new round under the present revision.

    `rows` are those of `lock_items`. Answers of earlier rounds are kept and do not count any more.
    """
    if not rows:
        return
    stage, wanted = first_asked(task.review)
    begin_round(connection, task, rows, stage, range(1, wanted + 1))
    add_tallies(store, connection, reopened(rows))


def begin_round(
    connection: Connection, task: Task, rows: Sequence[Row[Any]], stage: Stage, numbers: Sequence[int]
) -> None:
    """Open items again in a new round, each with slots of these `numbers`; the counts are the caller's to change."""
    connection.execute(_CLOSE, [{"item": row.id, "turn": row.round} for row in rows])
    changed = {"who": stage, "answers": len(numbers), "declared": task.revision}
    connection.execute(_NEW_ROUND, [{"item": row.id, **changed} for row in rows])
    reopen(connection, rows)
    connection.execute(slots.insert(), [_slot(row, row.round + 1, number, stage) for row in rows for number in numbers])


def ask_more(connection: Connection, item: Row[Any], stage: Stage, more: int, last: int) -> None:
    """Open `more` slots in the item's present round; `last` is the highest number that a slot of it has."""
    new = [_slot(item, item.round, last + 1 + index, stage) for index in range(more)]
    connection.execute(slots.insert(), new)


def close_slots(connection: Connection, item: Row[Any], *, free_only: bool = False) -> None:
    """Close the slots of the item's present round that nobody has answered; with `free_only`, those nobody holds."""
    connection.execute(_CLOSE_FREE if free_only else _CLOSE, {"item": item.id, "turn": item.round})


def _slot(item: Row[Any], turn: int, number: int, stage: Stage) -> dict[str, Any]:
    return {
        "item_id": item.id,
        "round": turn,
        "number": number,
        "task": item.task,
        "stage": stage,
        "label": item.suggestions[0][0] if item.suggestions else None,
        "language": item.language,
        "rank": item.rank,
        "state": "free",
    }
