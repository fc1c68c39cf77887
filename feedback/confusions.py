"""What the model said and people called something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Text, cast, func, select

from core.ids import first_id
from feedback.conditions import HOLDS
from feedback.facts import OUTSIDE, Value
from feedback.items import loaded
from feedback.mappings import mapped, read_maps, read_names
from feedback.schema import items, resolutions
from tasks.declaration import Task


@dataclass(frozen=True)
class Confusion:
    """`n` items that the model called `predicted` and people `said` to be something else.

    `said` holds one label, `out_of_scope`, or in a task with several labels a text all of them, or none. `item_id` is
    the latest such item.
    """

    predicted: str
    said: tuple[str, ...]
    n: int
    item_id: str


def confusions(connection: Connection, task: Task, since: datetime, most: int = 30) -> list[Confusion]:
    """Return the commonest confusions among the resolutions made since `since` that still hold, commonest first.

    Both sides are as of today's revision; what cannot be told any more is left out, and so is what no model judged.
    """
    rows = connection.execute(_resolved(task.name, since)).all()
    names = {revision: read_names(connection, task, revision) for revision in {row.revision for row in rows}}
    maps = read_maps(connection, task)
    words = {label.id: label.name for label in task.labels}
    found: dict[tuple[int, Value], tuple[int, str]] = {}
    for row in rows:
        predicted, said = (
            names[row.revision].get(row.predicted),
            mapped(loaded(orjson.loads(row.value)), maps.get(row.said_in)),
        )
        if predicted is None or said is None or _agrees(predicted, said):
            continue
        n, item_id = found.get((predicted, said), (0, ""))
        found[predicted, said] = (n + row.n, max(item_id, row.item_id))
    pairs = [Confusion(words[one], _words(said, words), *about) for (one, said), about in found.items()]
    return sorted(pairs, key=lambda pair: (-pair.n, pair.predicted, pair.said))[:most]


def _resolved(task: str, since: datetime) -> Select[Any]:
    """Select resolutions that hold, alike ones in one row: what the model had said first, what people said, how many.

    The model's word is taken out in an inner select, because PostgreSQL groups by columns, not by what has parameters.
    """
    r = resolutions.c
    each = (
        select(
            items.c.suggestions[(0, 0)].as_string().label("predicted"),
            items.c.revision,
            cast(r.value, Text).label("value"),
            r.revision.label("said_in"),
            items.c.id.label("item_id"),
        )
        .join(items, HOLDS)
        .where(r.task == task, r.id >= first_id(since))
        .subquery()
    )
    alike = (each.c.predicted, each.c.revision, each.c.value, each.c.said_in)
    counted = select(*alike, func.count().label("n"), func.max(each.c.item_id).label("item_id"))
    return counted.where(each.c.predicted.is_not(None)).group_by(*alike)


def _agrees(predicted: int, said: Value) -> bool:
    return predicted in said if isinstance(said, tuple) else predicted == said


def _words(said: Value, words: Mapping[int, str]) -> tuple[str, ...]:
    if isinstance(said, str):
        return (OUTSIDE,)
    return tuple(words[label] for label in (said if isinstance(said, tuple) else (said,)))
