"""The database by command: its state, its tables, and moving it, with proof."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from feedback.schema import metadata
from feedback.store import open_store
from tests.conftest import missing
from tests.support import postgres
from tests.support.rows import fill

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    if not postgres.is_here():
        missing("PostgreSQL")
    with postgres.running_postgres() as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA moved"))
        yield f"{url}?options=-csearch_path%3Dmoved"
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA moved CASCADE"))
        engine.dispose()


def test_status_tells_what_is_there(regrade: Regrade) -> None:
    done = regrade("db", "status", "--json")
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    assert (state["database"], state["up_to_date"], state["rows"]["deployments"]) == ("SQLite", True, 1)
    assert state["rows"].keys() == metadata.tables.keys()
    assert state["size_bytes"] > 10_000
    assert "deployments" in regrade("db", "status").stdout


def test_upgrade_makes_the_tables(regrade: Regrade, home: Path) -> None:
    for file in home.glob("regrade.sqlite3*"):
        file.unlink()
    before = regrade("db", "status")
    assert "regrade db upgrade" in before.stderr
    assert "before: none" in regrade("db", "upgrade").stderr
    assert "already" in regrade("db", "upgrade").stderr
    assert json.loads(regrade("db", "status", "--json").stdout)["up_to_date"]


def test_everything_moves_to_postgresql_and_is_proved(regrade: Regrade, home: Path, database: str) -> None:
    store = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    with store.write() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
        fill(connection, metadata, 1_200)
    store.close()
    done = regrade("db", "copy", "--to", database, "--json")
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)["tables"]
    assert {table["table"] for table in tables} == metadata.tables.keys()
    assert all(table["same"] and table["here"] == table["there"] for table in tables)
    assert all(table["here"]["rows"] == 1_200 for table in tables)
    moved = regrade("db", "status", "--json", environment={"REGRADE_DATABASE_URL": database})
    assert set(json.loads(moved.stdout)["rows"].values()) == {1_200}
    again = regrade("db", "copy", "--to", database)
    assert (again.returncode, again.stdout.count("yes")) == (0, len(tables))
    with sqlite3.connect(home / "regrade.sqlite3") as file:
        file.execute("UPDATE texts SET content = 'changed meanwhile' WHERE rowid = 7")
    file.close()
    refused = regrade("db", "copy", "--to", database)
    assert refused.returncode == 1
    assert "'texts'" in refused.stderr
    assert "changed" not in refused.stderr


@pytest.mark.parametrize("to", ["nonsense", "mysql://a:secret@b/c"])
def test_a_target_that_cannot_be_used_is_explained(regrade: Regrade, to: str) -> None:
    done = regrade("db", "copy", "--to", to)
    assert done.returncode == 2
    assert "--to" in done.stderr
    assert "secret" not in done.stderr


def test_a_database_is_not_copied_to_itself(regrade: Regrade, home: Path) -> None:
    done = regrade("db", "copy", "--to", f"sqlite:///{home / 'regrade.sqlite3'}")
    assert done.returncode == 2
    assert "in use" in done.stderr
