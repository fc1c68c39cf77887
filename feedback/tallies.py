"""Running counts of items and answers, so that nobody has to count a million rows.

Names are `items.STATE.REASON` (items that are `open` or `resolved` now), `answers.ROLE` (answers ever given with a
value; taking one back does not lower it) and `leases.expired` (leases ever found expired).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from feedback.bulk import write_rows
from feedback.schema import tallies
from feedback.store import Store
from feedback.upsert import add_counts

_SHARDS = 64
"""Rows over which PostgreSQL spreads a count, so that writers need not wait for each other's commit."""

_SUMS = select(tallies.c.name, func.sum(tallies.c.n)).group_by(tallies.c.name)


def add_tallies(store: Store, connection: Connection, deltas: Mapping[tuple[str, str], int]) -> None:
    """Add to counts, by `(task, name)`.

    Call it last in a transaction, because other writers wait for these rows, and once, because the rows are locked in
    the order of their names.
    """
    shard = 0 if store.is_sqlite else secrets.randbelow(_SHARDS)
    rows = [
        {"task": task, "name": name, "shard": shard, "n": deltas[task, name]}
        for task, name in sorted(deltas)
        if deltas[task, name]
    ]
    if rows:
        write_rows(connection, add_counts(connection, tallies, "n"), rows)


def read_tallies(connection: Connection, task: str) -> dict[str, int]:
    """Return the counts of `task` by name; those that never changed are missing."""
    return {name: int(n) for name, n in connection.execute(_SUMS.where(tallies.c.task == task))}
