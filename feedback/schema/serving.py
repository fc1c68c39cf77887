"""Tables of serving: which version is live and how it does, and replies kept for idempotency keys."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from feedback.schema.base import Serial, TaskName, UtcTime, metadata

deployments = Table(
    "deployments",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("task", TaskName, nullable=False),
    Column("version", String(63), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("how", String(20)),
    Index(None, "task", "id"),
)
"""Which version is live for a task, since when, why and how: append-only, the last row of a task counts. `how` is null
where an earlier release wrote the row."""

watches = Table(
    "watches",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("deployment_id", Serial, nullable=False),
    Column("step", Integer, nullable=False),
    Column("content", JSON, nullable=False),
    Column("computed_at", UtcTime, nullable=False),
)
"""How the live version of a task does, as the scheduler found it last: what it is held against, how often that was
looked at, and drift. `step` counts the looks that were kept, so that of two schedulers one keeps its own."""

replies = Table(
    "replies",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("scope", String(200), nullable=False),
    Column("key", String(255), nullable=False),
    Column("token", String(36), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("status", Integer),
    Column("reply", LargeBinary),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("scope", "key"),
    Index(None, "created_at"),
)
"""What was answered to requests with an `Idempotency-Key`; `reply` is null while the first is still at work."""
