"""What a store holds, so that it can be compared before and after a demo."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from feedback.schema import metadata
from feedback.store import Store

NOT_COMPARED = {"audit", "seals", "summaries", "duties"}
"""Tables that only grow, or that the service writes by itself."""

Rows = dict[str, list[dict[str, Any]]]


def contents(store: Store) -> Rows:
    """Return every row of every table that is compared; counts summed over shards, those of nothing left out."""
    with store.read() as connection:
        found = {
            table.name: [dict(row._mapping) for row in connection.execute(select(table))]
            for table in metadata.sorted_tables
            if table.name not in NOT_COMPARED
        }
    sums: Counter[tuple[str, str]] = Counter()
    for row in found["tallies"]:
        sums[row["task"], row["name"]] += row["n"]
    found["tallies"] = [{"task": task, "name": name, "n": n} for (task, name), n in sums.items() if n]
    return {name: sorted(rows, key=str) for name, rows in found.items()}
