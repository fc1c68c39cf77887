"""The tables, as SQLAlchemy Core sees them; `migrations/` makes and changes them in real databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC: SQLite keeps no time zone, so it is put back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn any moment into UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Say that what was kept is UTC."""
        moment: datetime | None = value
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for a column declared exactly INTEGER PRIMARY KEY."""

deployments = Table(
    "deployments",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("task", String(63), nullable=False),
    Column("version", String(63), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "task", "id"),
)
"""Which version is live for a task, since when and why: append-only, the last row of a task counts."""

replies = Table(
    "replies",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("scope", String(200), nullable=False),
    Column("key", String(255), nullable=False),
    Column("token", String(36), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("reply", LargeBinary),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("scope", "key"),
    Index(None, "created_at"),
)
"""What was answered to requests with an `Idempotency-Key`; `reply` is null while the first is still at work."""
