"""The order of what waits, judged again: which items stand first once another model is live.

Only of predictions that were doubted. Audits keep their place: they are a sample, which nothing that a model thinks of
them may sort. What people brought, reported or dispute was never placed by a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select, update

from feedback.facts import Reason
from feedback.items import rank_of
from feedback.schema import items, slots, texts
from feedback.store import Store

DOUBTS: tuple[Reason, ...] = ("low_confidence", "out_of_scope", "drift")
"""Reasons of items that stand where a model's doubt puts them."""

LEAST_MOVE_S = 1_800.0
"""Seconds by which a place must change to be written anew: a hair's breadth is not worth a row of the log."""

_AT_ONCE = 200
"""Items of a transaction: others who write wait for it."""

_WAITING = (
    select(items.c.id, items.c.cluster, items.c.created_at, items.c.rank, texts.c.content)
    .join_from(items, texts, texts.c.id == items.c.text_id)
    .where(items.c.task == bindparam("of"), items.c.state == "open", items.c.reason.in_(DOUBTS))
    .order_by(items.c.rank, items.c.id)
    .limit(bindparam("most"))
)
_PLACE_ITEM = (
    update(items)
    .where(items.c.id == bindparam("item"), items.c.state == "open", or_(*(items.c.reason == one for one in DOUBTS)))
    .values(rank=bindparam("place"))
)
_PLACE_SLOTS = (
    update(slots)
    .where(slots.c.item_id == bindparam("item"), or_(slots.c.state == "free", slots.c.state == "leased"))
    .values(rank=bindparam("place"))
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open item about a doubted prediction: its text, the `cluster` of its near-copies, and its place, `rank`."""

    item_id: str
    text: str
    cluster: str
    created_at: datetime
    rank: float


def read_waiting(store: Store, task: str, most: int) -> list[Waiting]:
    """Return the first `most` open items of `task` about doubted predictions, in the order of the queue.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        rows = connection.execute(_WAITING, {"of": task, "most": most}).all()
    return [Waiting(row.id, row.content, row.cluster, row.created_at, row.rank) for row in rows]


def reorder(store: Store, waiting: Sequence[Waiting], urgencies: Mapping[str, float]) -> None:
    """Put each of the `waiting` items where its urgency, 0 to 1, by id, has it now.

    What is open no more stays, and so does what would hardly move. Near-copies are kept apart as they were, the most
    urgent of them first.

    Raises:
        UnavailableError: the store is away.
    """
    places = sorted(_places(waiting, urgencies))  # in one order, so that two who do this do not lock each other out
    for start in range(0, len(places), _AT_ONCE):
        with store.write() as connection:
            _write(connection, places[start : start + _AT_ONCE])


def _places(waiting: Sequence[Waiting], urgencies: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    clusters: dict[str, list[Waiting]] = defaultdict(list)
    for one in sorted(waiting, key=lambda one: -urgencies[one.item_id]):
        mates = clusters[one.cluster]
        place = rank_of(one.created_at, urgencies[one.item_id], len(mates))
        mates.append(one)
        if abs(place - one.rank) >= LEAST_MOVE_S:
            yield one.item_id, place


def _write(connection: Connection, places: Sequence[tuple[str, float]]) -> None:
    rows = [{"item": item, "place": place} for item, place in places]
    connection.execute(_PLACE_ITEM, rows)
    connection.execute(_PLACE_SLOTS, rows)
