"""Tables of the review queue: items, their slots and leases, what people answered and what was resolved."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from core.demo import DEMO_LANGUAGE
from feedback.schema.base import Id, Person, Serial, TaskName, UtcTime, metadata

_FREE = text("state = 'free'")
_LEASED = text("state = 'leased'")
_CHECK = text("check_value IS NOT NULL")
DISPUTED = text("stage = 'expert' AND number > 1 AND state IN ('free', 'leased')")
"""Slots of experts that were opened after somebody had been asked: the same words are in the statement that uses the
index."""
_DEMO = text(f"language = '{DEMO_LANGUAGE}'")

items = Table(
    "items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("state", String(10), nullable=False),
    Column("stage", String(10), nullable=False),
    Column("round", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("text_id", Id, nullable=False),
    Column("text_sha256", String(64), nullable=False),
    Column("cluster", String(32), nullable=False),
    Column("suggestions", JSON, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("language", String(35)),
    Column("rank", Float, nullable=False),
    Column("open_key", String(130)),
    Column("same_as", Id),
    Column("check_value", JSON(none_as_null=True)),
    Column("resolution_id", Id),
    Column("created_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    UniqueConstraint("open_key"),
    Index(None, "task", "state", "id"),
    Index(None, "text_sha256"),
    Index(None, "text_id"),
    Index(
        "ix_items_cluster",
        "task",
        "cluster",
        sqlite_where=text("open_key IS NOT NULL"),
        postgresql_where=text("open_key IS NOT NULL"),
    ),
    Index("ix_items_checks", "task", "text_sha256", sqlite_where=_CHECK, postgresql_where=_CHECK),
    Index("ix_items_demo", "id", sqlite_where=_DEMO, postgresql_where=_DEMO),
)
"""A prediction, or an imported text, that people are asked about.

`state` is `open`, `resolved`, `merged` (into the item `same_as`: an exact copy that came by the spool), `check` (the
answer is known; never resolved), or `erased`.
`stage` says who is asked: `crowd` (every annotator of the task) or `expert`. A new `round` begins when people are asked
again. `open_key` is `TASK:SHA256` while the item is open, and null before and after, so that exact copies share one.
`hidden` items are shown without suggestions. `rank` is the place in the queue, smallest first. `check_value` is the
known answer of a check item.
"""

slots = Table(
    "slots",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("item_id", Id, ForeignKey("items.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("task", TaskName, nullable=False),
    Column("stage", String(10), nullable=False),
    Column("label", String(200)),
    Column("language", String(35)),
    Column("rank", Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("annotator", Person),
    Column("lease_token", String(64)),
    Column("lease_expires_at", UtcTime),
    Column("answer_id", Id),
    UniqueConstraint("item_id", "round", "number"),
    UniqueConstraint("item_id", "round", "annotator"),
    Index("ix_slots_free", "task", "stage", "rank", "item_id", sqlite_where=_FREE, postgresql_where=_FREE),
    Index("ix_slots_free_label", "task", "stage", "label", "rank", sqlite_where=_FREE, postgresql_where=_FREE),
    Index("ix_slots_free_language", "task", "stage", "language", "rank", sqlite_where=_FREE, postgresql_where=_FREE),
    Index("ix_slots_leased", "task", "lease_expires_at", sqlite_where=_LEASED, postgresql_where=_LEASED),
    Index("ix_slots_disputed", "task", "rank", "item_id", sqlite_where=DISPUTED, postgresql_where=DISPUTED),
)
"""One answer wanted: `free`, `leased`, `answered`, or `closed` when it is not wanted any more. `stage` is who may
answer: `crowd`, `expert`, or `check` for the slot that a check item gets each time somebody is given it.

A person holds at most one slot of an item and round, by a unique constraint. Task, stage, label (the first
suggestion), language and rank repeat the item's, so that claiming reads one index.
"""

leases = Table(
    "leases",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("slot_id", Serial, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("round", Integer, nullable=False),
    Column("task", TaskName, nullable=False),
    Column("annotator", Person, nullable=False),
    Column("granted_at", UtcTime, nullable=False),
    Column("ended", String(10)),
    Index(None, "item_id"),
)
"""Every lease ever granted, so that a late answer finds its item; `ended` says how: `answered`, `skipped`, `flagged`,
`released` or `expired` (null while it is held)."""

encounters = Table(
    "encounters",
    metadata,
    Column("item_id", Id, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("annotator", Person, primary_key=True),
)
"""Who has answered, skipped or flagged an item in a round: they never get it again."""

answers = Table(
    "answers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("round", Integer, nullable=False),
    Column("slot_id", Serial),
    Column("lease_token", String(64)),
    Column("annotator", Person, nullable=False),
    Column("role", String(10), nullable=False),
    Column("key_id", Id),
    Column("revision", Integer, nullable=False),
    Column("kind", String(15), nullable=False),
    Column("value", JSON(none_as_null=True)),
    Column("counted", String(10), nullable=False),
    Column("comment_id", Id),
    Column("proposed_id", Id),
    Column("seconds", Float),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "item_id"),
    Index(None, "task", "annotator", "id"),
    Index(None, "task", "id"),
)
"""What one annotator said: append-only. `kind` is `label`, `labels`, `spans`, `out_of_scope`, `skip` or `flag`;
`value` holds label ids, not names, so that renames don't touch it; `counted` is `true`, `extra` or `check`; `seconds`
is the time since the lease was granted."""

undoings = Table(
    "undoings",
    metadata,
    Column("answer_id", Id, primary_key=True),
    Column("annotator", Person, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Answers that their annotators took back."""

resolutions = Table(
    "resolutions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("item_id", Id, nullable=False),
    Column("round", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", String(15), nullable=False),
    Column("value", JSON(none_as_null=True)),
    Column("confirms", Boolean),
    Column("posterior", JSON, nullable=False),
    Column("method", String(20), nullable=False),
    Column("answer_ids", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "item_id"),
    Index(None, "task", "id"),
)
"""Final labels. An item points to the one that holds now; those it no longer points to were undone or asked again.
`confirms` tells whether the model had said the same; null where no model had. `posterior` holds `[value, probability]`
pairs."""

tallies = Table(
    "tallies",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
)
"""Running counts of items and answers, summed over shards so that writers need not wait for each other."""

task_revisions = Table(
    "task_revisions",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("labels", JSON, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""The labels of each revision under which something was recorded: `[{"id", "name", "replaces"}]`."""

duties = Table(
    "duties",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("done_at", UtcTime),
)
"""Housekeeping that one process does at a time, and for how long it has taken it."""

summaries = Table(
    "summaries",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("content", JSON, nullable=False),
    Column("computed_at", UtcTime, nullable=False),
)
"""Figures that take a look at much, worked out now and then, so that whoever shows them reads one row."""
