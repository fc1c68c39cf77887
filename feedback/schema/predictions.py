"""Tables of what was said: texts, predictions, traffic counters, and reports from applications."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from core.demo import DEMO_LANGUAGE
from feedback.schema.base import Id, TaskName, UtcTime, metadata

_ASKED = text("reason IS NOT NULL")
_DEMO = text(f"language = '{DEMO_LANGUAGE}'")

texts = Table(
    "texts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("subject", String(200)),
    Column("metadata", JSON(none_as_null=True)),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "sha256"),
    Index(None, "subject", sqlite_where=text("subject IS NOT NULL"), postgresql_where=text("subject IS NOT NULL")),
)
"""The only place where a text stands, redacted; comments and proposed labels are texts too. `sha256` is of the
normalised text, with a mark before that of a demo text. The text of a prediction has the prediction's id; `metadata` is
what came with an imported one."""

predictions = Table(
    "predictions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("version", String(63), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("label", String(200), nullable=False),
    Column("labels", JSON(none_as_null=True)),
    Column("spans", JSON(none_as_null=True)),
    Column("confidence", Float, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("out_of_scope", Float, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("language", String(35)),
    Column("metadata", JSON(none_as_null=True)),
    Column("key_id", Id),
    Column("reason", String(20)),
    Column("inclusion", Float, nullable=False),
    Column("item_id", Id),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "task", "id"),
    Index(None, "item_id", sqlite_where=text("item_id IS NOT NULL"), postgresql_where=text("item_id IS NOT NULL")),
    Index("ix_predictions_asked", "task", "id", sqlite_where=_ASKED, postgresql_where=_ASKED),
    Index("ix_predictions_demo", "id", sqlite_where=_DEMO, postgresql_where=_DEMO),
)
"""One text judged by one version. `reason` and `item_id` are null where nobody was asked; `inclusion` is the
probability, fixed before the draw, with which it was to be selected by any automatic reason."""

traffic = Table(
    "traffic",
    metadata,
    Column("task", TaskName, primary_key=True),
    Column("version", String(63), primary_key=True),
    Column("stratum", String(200), primary_key=True),
    Column("hour", UtcTime, primary_key=True),
    Column("predictions", Integer, nullable=False),
    Column("expected", Float, nullable=False),
    Column("selected", Integer, nullable=False),
)
"""Exact counts by predicted label and hour, which outlive the predictions: how many, the sum of their inclusion
probabilities, and how many were selected by an automatic reason."""

reports = Table(
    "reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("task", TaskName, nullable=False),
    Column("prediction_id", Id),
    Column("text_id", Id),
    Column("correct", Boolean),
    Column("value", JSON(none_as_null=True)),
    Column("comment_id", Id),
    Column("source", String(200)),
    Column("key_id", Id),
    Column("item_id", Id),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "prediction_id"),
    Index(None, "item_id", sqlite_where=text("item_id IS NOT NULL"), postgresql_where=text("item_id IS NOT NULL")),
    Index(None, "task", "id"),
)
"""Direct feedback from applications: `correct`, or the label or labels in `value`."""
