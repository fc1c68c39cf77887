"""Sessions of the pages, and the summaries that they show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what the pages need."""
    op.create_table(
        "sessions",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("sha256", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_table(
        "summaries",
        sa.Column("task", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("computed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("task", "name", name="pk_summaries"),
    )
    op.create_index("ix_audit_action_id", "audit", ["action", "id"], unique=False)
    op.create_index("ix_audit_actor_action_id", "audit", ["actor", "action", "id"], unique=False)
    op.create_index(
        "ix_items_demo",
        "items",
        ["id"],
        unique=False,
        sqlite_where=sa.text("language = 'und-x-demo'"),
        postgresql_where=sa.text("language = 'und-x-demo'"),
    )
    op.create_index("ix_keys_person", "keys", ["person"], unique=False)
    op.create_index(
        "ix_predictions_demo",
        "predictions",
        ["id"],
        unique=False,
        sqlite_where=sa.text("language = 'und-x-demo'"),
        postgresql_where=sa.text("language = 'und-x-demo'"),
    )
    op.create_index(
        "ix_slots_disputed",
        "slots",
        ["task", "rank", "item_id"],
        unique=False,
        sqlite_where=sa.text("stage = 'expert' AND number > 1 AND state IN ('free', 'leased')"),
        postgresql_where=sa.text("stage = 'expert' AND number > 1 AND state IN ('free', 'leased')"),
    )
