"""Copying a whole store into another database, and the proof that nothing was lost on the way.

Both databases are read in the order of their keys, compared byte by byte, and merged: what only the source has is
written. So an interrupted copy is simply gone on with, and a database that holds anything else is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, String, Table, collate, func, inspect, select

from core.errors import ConflictError, UnavailableError
from feedback.inspection import describe_store
from feedback.schema import metadata
from feedback.store import Store

_BATCH = 1_000

Cells = tuple[Any, ...]
Advance = Callable[[str, int], None]


@dataclass(frozen=True)
class TableProof:
    """Rows of one table on both sides, and the SHA-256 over all of them in key order."""

    table: str
    rows: tuple[int, int]
    sha256: tuple[str, str]

    @property
    def same(self) -> bool:
        """Whether both sides hold the same rows."""
        return self.rows[0] == self.rows[1] and self.sha256[0] == self.sha256[1]


def copy_store(source: Store, target: Store, advance: Advance) -> list[TableProof]:
    """Copy every row of `source` that `target` lacks, ids and sequences included, and compare both.

    The source is read at one moment: what is written to it meanwhile is not copied. `advance` is told a table's name
    and how many more of its rows were looked at.

    Raises:
        ConflictError: the target holds something that the source does not; nothing was copied then.
        UnavailableError: a database is away, or the source's tables are of another release.
    """
    if not source.is_up_to_date():
        raise UnavailableError("the tables to copy are of another release; run `regrade db upgrade` first")
    _prepare(target)
    with _snapshot(source) as given:
        with _snapshot(target) as there:
            for table in metadata.sorted_tables:
                _refuse_foreign(table, given, there)
        for table in metadata.sorted_tables:
            with _snapshot(target) as there:
                _copy_table(table, given, there, target, advance)
        _set_sequences(target)
        with _snapshot(target) as there:
            return [_prove(table, given, there) for table in metadata.sorted_tables]


def _prepare(target: Store) -> None:
    """Make the tables, unless the database belongs to something else."""
    state = describe_store(target)
    if state.up_to_date:
        return
    with target.read() as connection:
        names = inspect(connection).get_table_names()
    if names and (state.revision is None or any(state.rows.values())):
        raise ConflictError(
            f"the database to copy to holds tables of something else ({', '.join(sorted(names)[:5])}); "
            "give an empty database"
        )
    target.upgrade()


@contextmanager
def _snapshot(store: Store) -> Iterator[Connection]:
    """Give a connection that sees one moment, however long it reads."""
    with store.read() as connection:
        if not store.is_sqlite:  # SQLite's read transactions are like that by themselves
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _rows(table: Table, connection: Connection) -> Generator[Cells]:
    """Yield all rows in the byte order of their keys, which is the same on both databases."""
    plain = connection.dialect.name == "sqlite"
    order = [
        key if plain or not isinstance(key.type, String) else collate(key, "C") for key in table.primary_key.columns
    ]
    with connection.execution_options(yield_per=_BATCH).execute(select(table).order_by(*order)) as found:
        for row in found:
            yield tuple(row)


def _merged(table: Table, given: Connection, there: Connection) -> Generator[tuple[Cells | None, Cells | None]]:
    """Yield the rows of both sides side by side, None where a side lacks a key."""
    places = [list(table.columns).index(key) for key in table.primary_key.columns]

    def key(row: Cells) -> Cells:
        return tuple(row[place] for place in places)

    with closing(_rows(table, given)) as left, closing(_rows(table, there)) as right:
        ours, theirs = next(left, None), next(right, None)
        while ours is not None or theirs is not None:
            if theirs is None or (ours is not None and key(ours) < key(theirs)):
                yield ours, None
                ours = next(left, None)
            elif ours is None or key(theirs) < key(ours):
                yield None, theirs
                theirs = next(right, None)
            else:
                yield ours, theirs
                ours, theirs = next(left, None), next(right, None)


def _refuse_foreign(table: Table, given: Connection, there: Connection) -> None:
    if there.execute(select(*table.primary_key.columns).limit(1)).first() is None:
        return
    with closing(_merged(table, given, there)) as pairs:
        for ours, theirs in pairs:
            if theirs is not None and (ours is None or _row_hash(ours) != _row_hash(theirs)):
                raise ConflictError(
                    f"the database to copy to has rows in {table.name!r} that this store has not, or has otherwise; "
                    "give an empty database, or the one of an interrupted copy that was not used since"
                )


def _copy_table(table: Table, given: Connection, there: Connection, target: Store, advance: Advance) -> None:
    names = [column.name for column in table.columns]
    batch: list[dict[str, Any]] = []
    looked_at = 0
    with closing(_merged(table, given, there)) as pairs:
        for ours, theirs in pairs:
            looked_at += 1
            if ours is not None and theirs is None:
                batch.append(dict(zip(names, ours, strict=True)))
            if looked_at == _BATCH:
                _write(table, target, batch)
                advance(table.name, looked_at)
                batch, looked_at = [], 0
    _write(table, target, batch)
    advance(table.name, looked_at)


def _write(table: Table, target: Store, batch: list[dict[str, Any]]) -> None:
    if batch:
        with target.write() as connection:
            connection.execute(table.insert(), batch)


def _set_sequences(target: Store) -> None:
    """Let PostgreSQL number new rows after those that were copied; SQLite looks at the last one by itself."""
    if target.is_sqlite:
        return
    with target.write() as connection:
        for table in metadata.sorted_tables:
            column = table.autoincrement_column
            if column is None:
                continue
            last = connection.execute(select(func.max(column))).scalar_one()
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(select(func.setval(sequence, last or 1, last is not None)))


def _prove(table: Table, given: Connection, there: Connection) -> TableProof:
    ours, theirs = (_checksum(_rows(table, connection)) for connection in (given, there))
    return TableProof(table.name, (ours[0], theirs[0]), (ours[1], theirs[1]))


def _checksum(rows: Iterator[Cells]) -> tuple[int, str]:
    """Return the number of `rows` and the SHA-256 over their hashes."""
    count, total = 0, hashlib.sha256()
    for row in rows:
        count += 1
        total.update(_row_hash(row))
    return count, total.hexdigest()


def _row_hash(row: Cells) -> bytes:
    """Return the SHA-256 of a row in one form for both databases."""
    return hashlib.sha256(json.dumps(row, default=_plain, sort_keys=True, ensure_ascii=False).encode()).digest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(f"a column holds {type(value).__name__}, which has no form for comparing yet; add one here")
