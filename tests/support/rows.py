"""Rows for whatever tables a database has, so that tests of migrations and copies follow the schema by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, DateTime, Float, Integer, LargeBinary, MetaData, Table

START = datetime(2031, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def value(column: Column[Any], number: int) -> Any:
    """Return the value of `column` in row `number`; every third nullable one is null."""
    for key in column.foreign_keys:
        return value(key.column, number)
    if column.nullable and number % 3 == 0:
        return None
    kind = getattr(column.type, "impl", column.type)
    values: dict[type[Any], Any] = {
        DateTime: START + timedelta(hours=number),
        Boolean: number % 2 == 0,
        Integer: number + 1,
        Float: number + 0.1,
        JSON: {"names": ["ä", "谢谢", None], "n": number, "share": 0.1},
        LargeBinary: bytes([0, 255, number % 256]),
    }
    return next((one for type_, one in values.items() if isinstance(kind, type_)), _text(column, number))


def _text(column: Column[Any], number: int) -> str:
    """Return a text that differs from row to row, in an order that only the byte values of its characters give."""
    first = "zA-é谢😡_b"[number % 8]
    whole = f"{first}{number:04d} {column.table.name}.{column.name} \n\"'%😡"
    return whole[: getattr(column.type, "length", None) or len(whole)]


def fill(connection: Connection, metadata: MetaData, count: int) -> dict[str, int]:
    """Write `count` rows into every table of `metadata`; return how many each got."""
    filled = {}
    for table in metadata.sorted_tables:
        if table.name == "alembic_version":
            continue
        connection.execute(table.insert(), [row(table, number) for number in range(count)])
        filled[table.name] = count
    return filled


def row(table: Table, number: int) -> dict[str, Any]:
    """Return row `number` of `table`."""
    return {column.name: value(column, number) for column in table.columns}
