"""Trials of candidates on live traffic, and what a deployment is held against afterwards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what trials and watches remember."""
    op.create_table(
        "trial_figures",
        sa.Column("trial_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("n", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "step", "side", "name", name="pk_trial_figures"),
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("version", sa.String(length=63), nullable=False),
        sa.Column("champion", sa.String(length=63), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
    )
    op.create_index("ix_trials_run_id", "trials", ["run_id"], unique=False)
    op.create_index(
        "uq_trials_open",
        "trials",
        ["task"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "watches",
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("deployment_id", _SERIAL, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("computed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("task", name="pk_watches"),
    )
    op.add_column("deployments", sa.Column("how", sa.String(length=20), nullable=True))
    op.create_index("ix_runs_snapshot_sha256", "runs", ["snapshot_sha256"], unique=False)
    op.add_column("snapshot_items", sa.Column("until", sa.Integer(), nullable=True))
