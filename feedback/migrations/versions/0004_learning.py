"""Runs of the retraining job, their snapshots, and pinned versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what learning remembers."""
    op.create_table(
        "pins",
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=63), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("task", "version", name="pk_pins"),
    )
    op.create_table(
        "quarantines",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("released_at", _TIME, nullable=True),
        sa.Column("released_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_quarantines"),
    )
    op.create_index("ix_quarantines_task_person", "quarantines", ["task", "person"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("trigger", sa.String(length=40), nullable=False),
        sa.Column("asked_by", sa.String(length=200), nullable=False),
        sa.Column("promote", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("champion", sa.String(length=63), nullable=True),
        sa.Column("version", sa.String(length=63), nullable=True),
        sa.Column("snapshot_sha256", sa.String(length=64), nullable=True),
        sa.Column("gate", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("figures", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_status_id", "runs", ["status", "id"], unique=False)
    op.create_index("ix_runs_task_id", "runs", ["task", "id"], unique=False)
    op.create_index("ix_runs_version", "runs", ["version"], unique=False)
    op.create_table(
        "snapshot_erasures",
        sa.Column("erasure_id", sa.String(length=36), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("hashes", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_snapshot_erasures"),
    )
    op.create_table(
        "snapshot_items",
        sa.Column("resolution_id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("resolution_id", name="pk_snapshot_items"),
    )
    op.create_index("ix_snapshot_items_item_id", "snapshot_items", ["item_id"], unique=False)
    op.create_index("ix_snapshot_items_task_number", "snapshot_items", ["task", "number"], unique=False)
    op.create_table(
        "snapshots",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("reviewed", sa.Integer(), nullable=False),
        sa.Column("aside", sa.JSON(), nullable=False),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_snapshots"),
    )
    op.create_index("ix_snapshots_task_number", "snapshots", ["task", "number"], unique=True)
