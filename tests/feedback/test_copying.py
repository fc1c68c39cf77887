"""A whole store moves from one database to another, and it is proved that nothing was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, delete, select, text, update

from core.errors import ConflictError, UnavailableError
from feedback.copying import copy_store
from feedback.deployments import live_deployments, record_deployment
from feedback.schema import audit, deployments, metadata, outbox, slots, texts
from feedback.store import Store, open_store
from tests.support.rows import fill

ROWS = 1_100
"""More than one batch."""


def ignore(_table: str, _rows: int) -> None:
    pass


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'source.sqlite3'}")
    with opened.write() as connection:
        fill(connection, metadata, ROWS)
    yield opened
    opened.close()


@pytest.fixture
def target(store_url: str) -> Iterator[Store]:
    """A database without any tables yet."""
    opened = Store(store_url)
    yield opened
    opened.close()


def contents(store: Store, tables: MetaData) -> dict[str, set[str]]:
    with store.read() as connection:
        return {
            table.name: {repr(tuple(row)) for row in connection.execute(select(table))}
            for table in tables.sorted_tables
        }


def test_everything_is_copied_and_proved(source: Store, target: Store) -> None:
    looked_at: dict[str, int] = {}

    def advance(table: str, rows: int) -> None:
        looked_at[table] = looked_at.get(table, 0) + rows

    proofs = copy_store(source, target, advance)
    assert {proof.table for proof in proofs} == metadata.tables.keys() == looked_at.keys()
    assert all(proof.same and proof.rows == (ROWS, ROWS) for proof in proofs)
    assert len({proof.sha256 for proof in proofs}) == len(proofs)
    assert set(looked_at.values()) == {ROWS}
    assert contents(source, metadata) == contents(target, metadata)


def test_new_rows_are_numbered_after_the_copied_ones(source: Store, target: Store) -> None:
    copy_store(source, target, ignore)
    record_deployment(target, "new", "v", "test", "tests")
    assert live_deployments(target)["new"].version == "v"
    with target.read() as connection:
        assert connection.execute(text("SELECT max(id) FROM deployments")).scalar_one() == ROWS + 1


def test_an_empty_store_can_be_copied_and_used(tmp_path: Path, target: Store) -> None:
    with_nothing = open_store(f"sqlite:///{tmp_path / 'nothing.sqlite3'}")
    assert all(proof.same and proof.rows == (0, 0) for proof in copy_store(with_nothing, target, ignore))
    record_deployment(target, "a", "v", "test", "tests")
    with target.read() as connection:
        assert connection.execute(select(deployments.c.id)).scalars().all() == [1]
    with_nothing.close()


def test_an_interrupted_copy_is_gone_on_with(source: Store, target: Store) -> None:
    def interrupt(table: str, rows: int) -> None:
        if table == "texts" and rows == 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(source, target, interrupt)
    assert 0 < len(contents(target, metadata)["texts"]) < ROWS
    assert all(proof.same for proof in copy_store(source, target, ignore))
    assert contents(source, metadata) == contents(target, metadata)


def test_a_copy_may_be_repeated(source: Store, target: Store) -> None:
    copy_store(source, target, ignore)
    assert all(proof.same for proof in copy_store(source, target, ignore))


@pytest.mark.parametrize("change", ["another row", "another value"])
def test_a_database_with_something_else_is_refused_and_left_alone(source: Store, target: Store, change: str) -> None:
    target.upgrade()
    if change == "another row":
        record_deployment(target, "theirs", "v", "test", "tests")
    else:
        copy_store(source, target, ignore)
        with target.write() as connection:
            last = select(slots.c.id).order_by(slots.c.id.desc()).limit(1).scalar_subquery()
            connection.execute(update(slots).where(slots.c.id == last).values(state="other"))
    before = contents(target, metadata)
    with pytest.raises(ConflictError, match=r"give an empty database"):
        copy_store(source, target, ignore)
    assert contents(target, metadata) == before


def test_tables_of_something_else_are_refused(source: Store, target: Store) -> None:
    with target.write() as connection:
        connection.execute(text("CREATE TABLE wiki (page TEXT)"))
    with pytest.raises(ConflictError, match="wiki"):
        copy_store(source, target, ignore)
    assert not target.is_up_to_date()


def test_a_store_of_another_release_is_not_copied(tmp_path: Path, target: Store) -> None:
    old = Store(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    with pytest.raises(UnavailableError, match="regrade db upgrade"):
        copy_store(old, target, ignore)
    old.close()


def test_a_difference_is_seen(source: Store, target: Store) -> None:
    """What is changed behind the copy's back, in any column of any kind, shows in the proof."""
    changed: dict[Table, dict[str, object]] = {outbox: {"payload": {"n": 1}}, audit: {}, texts: {"content": "another"}}
    done: list[str] = []

    def meddle(table: str, _rows: int) -> None:
        if done or table != metadata.sorted_tables[-1].name:
            return
        done.append(table)
        with target.write() as connection:
            for one, values in changed.items():
                if not values:
                    connection.execute(delete(one).where(one.c.id == ROWS))
                else:
                    first = select(one.c.id).order_by(one.c.id).limit(1).scalar_subquery()
                    connection.execute(update(one).where(one.c.id == first).values(**values))

    proofs = {proof.table: proof for proof in copy_store(source, target, meddle)}
    assert {name for name, proof in proofs.items() if not proof.same} == {table.name for table in changed}
