"""Tables of outgoing webhooks: events written with what they tell of, and their deliveries."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from feedback.schema.base import Id, TaskName, UtcTime, metadata

_DUE = text("state = 'due'")

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event", String(40), nullable=False),
    Column("task", TaskName),
    Column("payload", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Events, written in the transaction of what they tell of; `payload` holds ids and figures, never a text."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", String(100), nullable=False),
    Column("events", JSON(none_as_null=True)),
    Column("private", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
)
"""Where events go; `events` null is all, `private` allows an address that is not public."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", Id, ForeignKey("outbox.id"), primary_key=True),
    Column("webhook_id", Id, ForeignKey("webhooks.id"), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("status", Integer),
    Column("error", String(300)),
    Index("ix_deliveries_due", "webhook_id", "next_at", "event_id", sqlite_where=_DUE, postgresql_where=_DUE),
)
"""Each event's way to each webhook that wanted it: `due`, `delivered` or `failed` (given up, can be replayed).

`attempts` are counted when they begin; `next_at` is when a due one is to be sent, or, while it is being sent, when it
is taken for lost. `status` and `error` tell how the last attempt ended.
"""
