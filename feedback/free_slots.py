"""The slots that a person may be given, in the order of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, or_, select

from core.roles import Caller
from feedback.conditions import met_by_person, none_of
from feedback.leases import FREE
from feedback.schema import encounters, slots
from tasks.declaration import Task


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for: items whose first suggestion is `label`, in `language`, `among` some; None: any."""

    task: Task
    caller: Caller
    label: str | None = None
    language: str | None = None
    among: Sequence[str] | None = None


def stages_of(task: Task, caller: Caller) -> tuple[str, ...]:
    """Return the stages whose slots the caller may answer: everybody the crowd's, qualified people an expert's too.

    Qualified are reviewers and admins, whom `review.experts` lists, and under the strategy `expert`, where it lists
    nobody, everybody.
    """
    review = task.review
    anybody = review.strategy == "expert" and not review.experts
    qualified = anybody or caller.is_reviewer or caller.person in review.experts
    return ("crowd", "expert") if qualified else ("crowd",)


def free_slots(connection: Connection, wanted: Wanted, most: int, *, locked: bool = True) -> list[Row[Any]]:
    """Return up to `most` free slots (`slot_id`, `item_id`, `round`, `rank`) that the caller may have, one an item.

    They have not answered, skipped or flagged the item in its present round, and hold no other slot of it. `locked`:
    only those that nobody else looks at, which then are this transaction's.
    """
    values = {"task": wanted.task.name, "person": wanted.caller.person, "most": most, "ids": wanted.among}
    values |= {"label": wanted.label, "language": wanted.language}
    query = _query(wanted.label is not None, wanted.language is not None, wanted.among is not None, locked)
    found: list[Row[Any]] = []
    for stage in stages_of(wanted.task, wanted.caller):  # each by itself: both are read in the order of the index
        found += connection.execute(query, {**values, "stage": stage}).all()
    chosen: dict[str, Row[Any]] = {}
    for row in sorted(found, key=lambda row: row.rank):
        chosen.setdefault(row.item_id, row)
    return list(chosen.values())[:most]


@cache
def _query(by_label: bool, by_language: bool, by_item: bool, locked: bool) -> Select[Any]:
    other = slots.alias("other")
    same_item = and_(other.c.item_id == slots.c.item_id, other.c.round == slots.c.round)
    held = other.c.annotator == bindparam("person")
    earlier = and_(other.c.state == FREE, other.c.number < slots.c.number, other.c.stage == slots.c.stage)
    query = (
        select(slots.c.id.label("slot_id"), slots.c.item_id, slots.c.round, slots.c.rank)
        .where(slots.c.task == bindparam("task"), slots.c.stage == bindparam("stage"))
        .where(none_of(encounters, met_by_person(slots.c.item_id), encounters.c.round == slots.c.round))
        .where(none_of(other, same_item, or_(held, earlier)))
    )
    if by_item:  # no index of free slots knows this condition: a few items are looked up, instead of reading the queue
        is_free = slots.c.state.concat("") == "free"
        query = query.where(slots.c.item_id.in_(bindparam("ids", expanding=True)), is_free)
    else:
        query = query.where(slots.c.state == FREE).order_by(slots.c.rank).limit(bindparam("most"))
    if locked:
        query = query.with_for_update(skip_locked=True, of=slots)
    if by_label:
        query = query.where(slots.c.label == bindparam("label"))
    return query.where(slots.c.language == bindparam("language")) if by_language else query
