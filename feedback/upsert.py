"""Inserting where the row may be there already: the same clauses, by two dialects' own constructs.

Building such a statement costs more than running it, so that each is built once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = postgresql.Insert | sqlite.Insert


def insert(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return _insert(connection.dialect.name, table)


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that leaves rows alone that are there already; its `rowcount` tells the others."""
    return _insert_new(connection.dialect.name, table)


def insert_new_ids(connection: Connection, table: Table) -> Any:
    """Return `insert_new` that returns the ids of the rows that were not there."""
    return _insert_new_ids(connection.dialect.name, table)


def add_counts(connection: Connection, table: Table, *counters: str) -> Insert:
    """Return an insert into `table` that adds the `counters` to those of the row of the same primary key."""
    return _add_counts(connection.dialect.name, table, counters)


def _insert(dialect: str, table: Table) -> Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@lru_cache(maxsize=256)
def _insert_new(dialect: str, table: Table) -> Insert:
    return _insert(dialect, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@lru_cache(maxsize=256)
def _insert_new_ids(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing().returning(table.c.id)


@lru_cache(maxsize=256)
def _add_counts(dialect: str, table: Table, counters: tuple[str, ...]) -> Insert:
    fresh = _insert(dialect, table)
    added = {name: table.c[name] + fresh.excluded[name] for name in counters}
    return fresh.on_conflict_do_update(index_elements=list(table.primary_key), set_=added)
