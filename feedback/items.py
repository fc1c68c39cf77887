"""New items: where they stand in the queue, and which of them are exact copies of an open one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from core.demo import DEMO_LANGUAGE
from core.errors import UnavailableError
from feedback.bulk import write_rows
from feedback.facts import OUTSIDE, NewItem, Value
from feedback.outbox import Event, emit
from feedback.schema import items, slots
from feedback.store import Store
from feedback.tallies import add_tallies
from feedback.upsert import insert_new, insert_new_ids

URGENCY_SECONDS = 7 * 86_400
"""How far the most urgent item stands before the least urgent one of the same moment."""

CLUSTER_STEP = 3
CLUSTER_STEP_SECONDS = 6 * 3_600
"""Of one cluster's open items three stand together; every further three are pushed back by so much more."""

_CLUSTER_COUNTED = 100
"""Open items of a cluster that are counted at most: a flood of near-copies is pushed back by days, not for ever."""

_BATCH = 1_000
_ATTEMPTS = 5

_SLOTS = slots.insert()
_STANDING = select(items.c.id, items.c.same_as).where(items.c.id.in_(bindparam("ids", expanding=True)))
_COPIED = select(items.c.open_key, items.c.id).where(items.c.open_key.in_(bindparam("open_keys", expanding=True)))


def add_items(
    store: Store, connection: Connection, new: Sequence[NewItem], *, keep_ids: bool = False
) -> dict[str, str]:
    """Put items into the queue, with their slots; return, by given id, the id of the item that stands for each.

    That is its own, or where an exact copy of the text is open in the same task, that copy's, which then has no slots
    of its own. With `keep_ids` such a copy is written too, as `merged`, so that an id given out earlier stays valid.
    Writing the same item again changes nothing. The texts are written before, in the same transaction. No event tells
    of demo items.

    Raises:
        UnavailableError: copies were resolved again and again while this looked for them; trying again is safe.
    """
    standing: dict[str, str] = {}
    asked: list[NewItem] = []
    for start in range(0, len(new), _BATCH):
        standing |= _add_batch(connection, new[start : start + _BATCH], asked, keep_ids=keep_ids)
    told = [one for one in asked if one.language != DEMO_LANGUAGE]
    emit(connection, [Event("item.created", one.task, {"item_id": one.id, "reason": one.reason}) for one in told])
    add_tallies(store, connection, Counter((one.task, f"items.open.{one.reason}") for one in asked))
    return standing


def open_key(task: str, text_sha256: str) -> str:
    """Return what all exact copies of a text share while one of them is open."""
    return f"{task}:{text_sha256}"


def stored(value: Value | None) -> Any:
    """Return a value as the database keeps it: an id, a list of ids, `OUTSIDE`, or None."""
    return list(value) if isinstance(value, tuple) else value


def loaded(value: Any) -> Value:
    """Return the value that `stored` made."""
    if isinstance(value, list):
        return tuple(value)
    return OUTSIDE if value == OUTSIDE else int(value)


def _add_batch(
    connection: Connection, new: Sequence[NewItem], asked: list[NewItem], *, keep_ids: bool
) -> dict[str, str]:
    """Add up to `_BATCH` items; those that people are asked about from now on are added to `asked`."""
    standing: dict[str, str] = {}
    waiting = _in_key_order(new)
    ranks = _ranks(connection, new)
    for _ in range(_ATTEMPTS):
        if not waiting:
            return standing
        written = _write(connection, waiting, ranks)
        asked += written
        standing |= {one.id: one.id for one in written}
        standing |= _find(connection, [one for one in waiting if one.id not in standing])
        if keep_ids:
            _keep_merged(
                connection, [one for one in waiting if standing.get(one.id, one.id) != one.id], ranks, standing
            )
        # A copy that stood in the way may have been resolved before it was looked up: then there is none any more.
        waiting = [one for one in waiting if one.id not in standing]
    if waiting:
        raise UnavailableError("the copies of an item change too quickly; try again")
    return standing


def _in_key_order(new: Iterable[NewItem]) -> list[NewItem]:
    """Sort by what is unique, so that two writers lock in the same order; the earlier of two copies comes first."""
    return sorted(new, key=lambda one: (one.task, one.text_sha256, one.id))


def _ranks(connection: Connection, new: Sequence[NewItem]) -> dict[str, float]:
    before = Counter(_cluster_sizes(connection, {(one.task, one.cluster) for one in new if one.check_value is None}))
    ranks = {}
    for one in new:
        ranks[one.id] = rank_of(one.created_at, one.urgency, before[one.task, one.cluster])
        before[one.task, one.cluster] += one.check_value is None
    return ranks


def rank_of(created_at: datetime, urgency: float, before: int) -> float:
    """Return the place in the queue, smallest first, of an item with `before` near-copies of it standing before it."""
    pushed = min(before, _CLUSTER_COUNTED) // CLUSTER_STEP * CLUSTER_STEP_SECONDS
    return created_at.timestamp() - urgency * URGENCY_SECONDS + pushed


def _cluster_sizes(connection: Connection, clusters: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Count the open items of each (task, cluster), up to the limit, in one statement."""
    if not clusters:
        return {}
    wanted = sorted(clusters)
    places = ", ".join(f"(:t{index}, :c{index})" for index in range(len(wanted)))
    counted = text(
        f"WITH wanted(task, cluster) AS (VALUES {places}) "  # noqa: S608 - names of parameters only
        "SELECT task, cluster, (SELECT count(*) FROM (SELECT 1 FROM items WHERE items.task = wanted.task AND "
        "items.cluster = wanted.cluster AND items.open_key IS NOT NULL LIMIT :most) AS counted) FROM wanted"
    )
    values: dict[str, str | int] = {"most": _CLUSTER_COUNTED}
    for index, (task, cluster) in enumerate(wanted):
        values |= {f"t{index}": task, f"c{index}": cluster}
    return {(task, cluster): size for task, cluster, size in connection.execute(counted, values)}


def _write(connection: Connection, new: Sequence[NewItem], ranks: dict[str, float]) -> list[NewItem]:
    """Write those whose id and text are new, with their slots; return those that people are asked about."""
    written = set(connection.scalars(insert_new_ids(connection, items), [_row(one, ranks[one.id]) for one in new]))
    asked = [one for one in new if one.id in written and one.check_value is None]
    if asked:
        write_rows(connection, _SLOTS, [row for one in asked for row in _slot_rows(one, ranks[one.id])])
    return asked


def _row(one: NewItem, rank: float) -> dict[str, Any]:
    is_check = one.check_value is not None
    return {
        "id": one.id,
        "task": one.task,
        "state": "check" if is_check else "open",
        "stage": one.stage,
        "round": 1,
        "wanted": one.wanted,
        "revision": one.revision,
        "reason": one.reason,
        "text_id": one.text_id,
        "text_sha256": one.text_sha256,
        "cluster": one.cluster,
        "suggestions": one.suggestions,
        "hidden": one.hidden,
        "language": one.language,
        "rank": rank,
        "open_key": None if is_check else open_key(one.task, one.text_sha256),
        "same_as": None,
        "check_value": stored(one.check_value),
        "created_at": one.created_at,
    }


def _slot_rows(one: NewItem, rank: float) -> Iterator[dict[str, Any]]:
    for number in range(1, one.wanted + 1):
        yield {
            "item_id": one.id,
            "round": 1,
            "number": number,
            "task": one.task,
            "stage": one.stage,
            "label": one.suggestions[0][0] if one.suggestions else None,
            "language": one.language,
            "rank": rank,
            "state": "free",
        }


def _find(connection: Connection, new: Sequence[NewItem]) -> dict[str, str]:
    """Return the items that stand for `new`; those for which there is none any more are missing."""
    if not new:
        return {}
    own = connection.execute(_STANDING, {"ids": [one.id for one in new]})
    standing: dict[str, str] = {row.id: row.same_as or row.id for row in own}
    keys = {one.id: open_key(one.task, one.text_sha256) for one in new if one.id not in standing}
    if keys:
        copied = dict(connection.execute(_COPIED, {"open_keys": sorted(set(keys.values()))}).all())
        standing |= {given: copied[key] for given, key in keys.items() if key in copied}
    return standing


def _keep_merged(
    connection: Connection, copies: Sequence[NewItem], ranks: dict[str, float], standing: dict[str, str]
) -> None:
    rows = [
        _row(one, ranks[one.id]) | {"state": "merged", "open_key": None, "same_as": standing[one.id]} for one in copies
    ]
    if rows:
        connection.execute(insert_new(connection, items), rows)
