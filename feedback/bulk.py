"""Writing rows by a statement that is compiled once.

SQLAlchemy's general way looks up, checks and converts again at each call what never changes; for a few rows at a time,
as on the way of a prediction, that costs several times what the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import Insert


class _Compiled(NamedTuple):
    """SQL for the driver; the names of its parameters in order (None: the driver takes names); what converts values."""

    sql: str
    places: tuple[str, ...] | None
    converters: tuple[tuple[str, Callable[[Any], Any]], ...]


def write_rows(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> int:
    """Execute `statement` for each of `rows` (at least one), which have the same keys; return how many it wrote.

    `statement` is one that is kept, as those of `feedback/upsert.py` are: it is compiled once.
    """
    compiled = _compile(connection.dialect, statement, tuple(rows[0]))
    values = _converted(rows, compiled)
    written = connection.exec_driver_sql(compiled.sql, values, execution_options={"preserve_rowcount": True})
    return written.rowcount


def _converted(rows: Sequence[Mapping[str, Any]], compiled: _Compiled) -> list[Any]:
    """Return the rows as the driver takes them, converted column by column."""
    names = tuple(rows[0])
    columns = {name: [row[name] for row in rows] for name in names}
    for name, convert in compiled.converters:
        columns[name] = _each(columns[name], convert)
    if compiled.places is not None:
        return list(zip(*(columns[name] for name in compiled.places), strict=True))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _each(values: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Convert `values`; the same one again, as the moment of all texts of a request is, is converted once."""
    found: list[Any] = []
    last, converted = values[0], convert(values[0])
    for value in values:
        if value is not last:
            last, converted = value, convert(value)
        found.append(converted)
    return found


@lru_cache(maxsize=256)
def _compile(dialect: Dialect, statement: Insert, names: tuple[str, ...]) -> _Compiled:
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    columns = statement.table.c
    converters = {name: columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
    places = tuple(compiled.positiontup) if compiled.positiontup is not None else None
    return _Compiled(str(compiled), places, tuple((name, one) for name, one in converters.items() if one))
