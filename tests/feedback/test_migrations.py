"""Whoever has an earlier release's database can go on with it, and loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, select

from feedback.inspection import describe_store
from feedback.schema import metadata
from feedback.store import Store, _migrations
from tests.support.rows import fill

REVISIONS = [script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()]


def make_at(store: Store, revision: str) -> None:
    """Make the tables as they were at `revision`."""
    config = _migrations()
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def contents(store: Store, tables: MetaData) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table that is in `tables`, of the columns that it has there."""
    with store.read() as connection:
        return {
            table.name: sorted((dict(row._mapping) for row in connection.execute(select(table))), key=str)
            for table in tables.sorted_tables
        }


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_revision_is_brought_up_with_its_rows(store_url: str, revision: str) -> None:
    store = Store(store_url)
    make_at(store, revision)
    earlier = MetaData()
    with store.write() as connection:
        earlier.reflect(connection)
        earlier.remove(earlier.tables["alembic_version"])
        filled = fill(connection, earlier, 5)
    assert len(filled) >= 2
    before = contents(store, earlier)
    store.upgrade()
    assert store.is_up_to_date()
    assert contents(store, earlier) == before
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    store.close()


def test_the_state_of_a_database_is_told_without_changing_it(store_url: str) -> None:
    store = Store(store_url)
    empty = describe_store(store)
    assert (empty.revision, empty.up_to_date, empty.rows) == (None, False, {})
    make_at(store, "0001")
    old = describe_store(store)
    assert (old.revision, old.up_to_date, old.rows) == ("0001", False, {"deployments": 0, "replies": 0})
    store.upgrade()
    with store.write() as connection:
        filled = fill(connection, metadata, 4)
    new = describe_store(store)
    assert (new.revision, new.up_to_date, new.rows) == (REVISIONS[0], True, filled)
    assert new.rows.keys() == metadata.tables.keys()
    assert new.size > 0
    store.close()
