"""Alembic's entry: runs the migrations on the connection that `feedback.store.Store.upgrade` passes in."""

from __future__ import annotations

from alembic import context

from feedback.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
