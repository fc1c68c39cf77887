"""Tables of people: keys and sessions, what is known of annotators, the audit log and its seals, erasures."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, UniqueConstraint, text

from feedback.schema.base import Id, Person, Serial, TaskName, UtcTime, metadata

keys = Table(
    "keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("person", Person, nullable=False),
    Column("role", String(10), nullable=False),
    Column("tasks", JSON(none_as_null=True)),
    Column("note", String(200), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Person, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    UniqueConstraint("sha256"),
    Index(None, "person"),
)
"""API keys, hashed. `tasks` lists the granted ones; null is all. Two keys of one person answer as the same person."""

sessions = Table(
    "sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key_sha256", String(64), nullable=False),
    Column("person", Person, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index(None, "expires_at"),
)
"""Sessions of the pages, by the hash of their cookie; each lets in whomever the key with `key_sha256` lets in."""

annotators = Table(
    "annotators",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("person", Person, primary_key=True),
    Column("checks", Integer, nullable=False),
    Column("right", Integer, nullable=False),
    Column("confusion", JSON, nullable=False),
    Column("learned", JSON, nullable=False),
    Column("weight", Float, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
"""What is known of each annotator of a task. `checks` items with a known answer were answered, `right` of them rightly;
`confusion` is `{"KNOWN ID": {"GIVEN ID": n}}`, and `learned` the same, in expected numbers, from resolved items.
Answers of one who is not `trusted` do not count."""

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("created_at", UtcTime, nullable=False),
    Column("actor", Person, nullable=False),
    Column("role", String(10), nullable=False),
    Column("action", String(40), nullable=False),
    Column("object", String(200), nullable=False),
    Column("details", JSON, nullable=False),
    Column("seal_id", Integer),
    Index(None, "seal_id"),
    Index(None, "action", "id"),
    Index(None, "actor", "action", "id"),
    Index("ix_audit_unsealed", "id", sqlite_where=text("seal_id IS NULL"), postgresql_where=text("seal_id IS NULL")),
)
"""Every change by a person, and every refusal of one: ids only, never a text."""

seals = Table(
    "seals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("entries", Integer, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""The hash chain over the audit log, a batch of entries a seal."""

erasures = Table(
    "erasures",
    metadata,
    Column("id", Id, primary_key=True),
    Column("actor", Person, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""What was erased, by counts, and the model versions that had seen it."""
