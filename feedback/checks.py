"""Check items: which of them a person is given, and the slots that are made for it.

A check item has a known answer and is given to many people, each with a slot of their own; nothing resolves it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, Text, bindparam, cast, literal_column, select

from core.demo import DEMO_PEOPLE
from core.roles import Caller
from feedback.conditions import met_by_person, none_of
from feedback.demo import is_demo, is_real
from feedback.leases import CHECK_STAGE
from feedback.schema import encounters, items, slots
from tasks.declaration import Task

_HASH = items.c.text_sha256
_PIVOT: BindParameter[str] = bindparam("pivot")


def draw_checks(
    connection: Connection, task: Task, caller: Caller, count: int, label: str | None, language: str | None
) -> list[Row[Any]]:
    """Return up to `count` check items that the caller has never met, drawn at random: the hashes are uniform.

    Where `label` is asked for, those of which it is the known answer: any other would stand out. Demo check items
    measure the people of the demo, and nobody else.
    """
    if not count:
        return []
    pivot = secrets.token_hex(32)
    known = next((str(one.id) for one in task.labels if one.name == label), None)
    values = {"task": task.name, "person": caller.person, "most": count, "pivot": pivot}
    values |= {"known": known, "language": language}
    filters = label is not None, language is not None, caller.person in DEMO_PEOPLE
    found = list(connection.execute(_check_query(True, *filters), values))
    if len(found) < count:
        found += connection.execute(_check_query(False, *filters), values)
    return found[:count]


@cache
def _check_query(after_pivot: bool, by_label: bool, by_language: bool, demo: bool) -> Select[Any]:
    held = (slots.c.item_id == items.c.id, slots.c.annotator == bindparam("person"))
    query = (
        select(literal_column("NULL").label("slot_id"), items.c.id.label("item_id"), items.c.round, items.c.rank)
        .add_columns(items.c.language)
        .where(items.c.task == bindparam("task"), items.c.check_value.is_not(None), items.c.state == "check")
        .where(_HASH >= _PIVOT if after_pivot else _HASH < _PIVOT)
        .where(is_demo(items.c.language) if demo else is_real(items.c.language))
        .where(none_of(encounters, met_by_person(items.c.id)), none_of(slots, *held))
        .order_by(_HASH)
        .limit(bindparam("most"))
    )
    if by_label:
        query = query.where(cast(items.c.check_value, Text) == bindparam("known"))
    return query.where(items.c.language == bindparam("language")) if by_language else query


def make_slots(connection: Connection, task: Task, checks: Collection[Row[Any]]) -> dict[str, int]:
    """Give each check item a slot more; return the slots' ids by item.

    Their numbers are random, so that two people who are given the same item need not wait for each other.
    """
    if not checks:
        return {}
    rows = [
        {
            "item_id": row.item_id,
            "round": row.round,
            "number": secrets.randbelow(2**31),
            "task": task.name,
            "stage": CHECK_STAGE,
            "language": row.language,
            "rank": row.rank,
            "state": "closed",
        }
        for row in checks
    ]
    made = connection.execute(slots.insert().returning(slots.c.item_id, slots.c.id), rows)
    return dict(made.all())
