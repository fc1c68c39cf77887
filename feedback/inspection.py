"""What a database is: its kind, the release of its tables, how many rows they have and how much room it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, inspect, select, text

from feedback.schema import metadata
from feedback.store import Store


@dataclass(frozen=True)
class StoreState:
    """`revision` is that of the tables (None: there are none yet), `size` is in bytes, `rows` counts by table."""

    kind: str
    revision: str | None
    up_to_date: bool
    size: int
    rows: dict[str, int]


def describe_store(store: Store) -> StoreState:
    """Look at `store`, changing nothing.

    Raises:
        UnavailableError: the database is away.
    """
    with store.read() as connection:
        there = set(inspect(connection).get_table_names())
        tables = [table for table in metadata.sorted_tables if table.name in there]
        counted = select(func.count()).select_from
        return StoreState(
            kind="SQLite" if store.is_sqlite else "PostgreSQL",
            revision=MigrationContext.configure(connection).get_current_revision(),
            up_to_date=store.is_up_to_date(),
            size=_size(store, connection),
            rows={table.name: connection.execute(counted(table)).scalar_one() for table in tables},
        )


def _size(store: Store, connection: Connection) -> int:
    """Return the bytes of the SQLite file and its log, or of PostgreSQL's database."""
    if not store.is_sqlite:
        size: int = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return size
    file = store.engine.url.database or ""
    return sum(part.stat().st_size for suffix in ("", "-wal") if (part := Path(file + suffix)).exists())
