"""Open items that are alike to one, so that somebody can answer them together.

Only a bounded number of them is looked at, however long the queue is: near-copies, by the index of clusters, and the
items that would come next anyway, of the same first suggestion and of any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from core.errors import NotFoundError
from feedback.free_slots import Wanted, free_slots
from feedback.likeness import Collection, Features, features_of
from feedback.schema import items, leases, texts
from feedback.store import Store

LEAST_LIKENESS = 0.3
"""Likeness, 0 to 1, from which two texts may well be answered together."""

_AHEAD = 300
_NEAR = 100
_SPARE = 3
"""Candidates an item wanted: others may take some of them meanwhile."""

_ITEM = (
    select(items.c.id, texts.c.content)
    .add_columns(items.c.cluster, items.c.suggestions)
    .join(texts, texts.c.id == items.c.text_id)
    .where(items.c.id == bindparam("item"), items.c.task == bindparam("of"))
)
_GIVEN = (
    select(leases.c.token).where(leases.c.item_id == bindparam("item"), leases.c.annotator == bindparam("who")).limit(1)
)
_IN_CLUSTER = (
    select(items.c.id)
    .where(items.c.task == bindparam("of"), items.c.cluster == bindparam("key"), items.c.open_key.is_not(None))
    .limit(_NEAR)
)
_CONTENTS = (
    select(items.c.id, texts.c.content)
    .join(texts, texts.c.id == items.c.text_id)
    .where(items.c.id.in_(bindparam("ids", expanding=True)))
)


@dataclass(frozen=True)
class Alike:
    """Items alike to one: `likeness`, 0 to 1, by item, the most alike first."""

    features: Features
    likeness: Mapping[str, float]

    def measure(self, contents: Mapping[str, str]) -> dict[str, float]:
        """Return the likeness of texts, by id, that are alike enough, the most alike first."""
        found = Collection([features_of(content) for content in contents.values()]).likeness(self.features)
        ids = list(contents)
        order = np.argsort(-found, kind="stable")
        return {ids[place]: float(found[place]) for place in order if found[place] >= LEAST_LIKENESS}


def find_alike(store: Store, wanted: Wanted, item_id: str, count: int) -> Alike:
    """Return what `wanted` there is among open items alike to `item_id`, somewhat more than `count` of it.

    Raises:
        NotFoundError: the task has no such item, its text was erased, or the caller was never given it and is no
            reviewer.
    """
    with store.read() as connection:
        item = _find(connection, wanted, item_id)
        ids = _candidates(connection, wanted, item) - {item_id}
        contents = contents_of(connection, sorted(ids))
    alike = Alike(features_of(item.content), {})
    best = list(alike.measure(contents).items())[: count * _SPARE]
    return replace(alike, likeness=dict(best))


def contents_of(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return the texts of items, by item; those that were erased are missing."""
    return {row.id: row.content for row in connection.execute(_CONTENTS, {"ids": list(ids)})}


def _find(connection: Connection, wanted: Wanted, item_id: str) -> Row[Any]:
    item = connection.execute(_ITEM, {"item": item_id, "of": wanted.task.name}).first()
    given = (
        wanted.caller.is_reviewer or connection.execute(_GIVEN, {"item": item_id, "who": wanted.caller.person}).first()
    )
    if item is None or not given:
        raise NotFoundError(f"no item {item_id!r} of {wanted.task.name}, or none that you were given; claim one")
    return item


def _candidates(connection: Connection, wanted: Wanted, item: Row[Any]) -> set[str]:
    """Return items to compare with; which of them the caller may have is found when they are claimed."""
    rows = free_slots(connection, wanted, _AHEAD, locked=False)
    if wanted.label is None and item.suggestions:
        same = replace(wanted, label=item.suggestions[0][0])
        rows += free_slots(connection, same, _AHEAD, locked=False)
    near = connection.scalars(_IN_CLUSTER, {"of": wanted.task.name, "key": item.cluster})
    return {*near, *(row.item_id for row in rows)}
