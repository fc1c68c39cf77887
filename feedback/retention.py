"""How long things are kept that only help for a while: old leases, delivered events, kept replies, sessions."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Table, delete, exists, select

from core.ids import first_id
from feedback.replies import KEPT_FOR as REPLIES_KEPT_FOR
from feedback.schema import deliveries, leases, outbox, replies, sessions
from feedback.store import Store

LEASES_KEPT_FOR = timedelta(days=30)
"""How long after its lease an answer still finds its item."""

EVENTS_KEPT_FOR = timedelta(days=30)
"""How long events can be replayed; one that is still due stays until it is delivered or given up."""

_BATCH = 1_000
"""Rows deleted in one transaction: others who write wait for it."""


def forget_old(store: Store) -> dict[str, int]:
    """Delete what has been kept long enough, in small transactions; return how many rows by table.

    Raises:
        UnavailableError: the store is away; what is left over goes next time.
    """
    with store.read() as connection:
        now = store.now(connection)
    still_due = exists().where(deliveries.c.event_id == outbox.c.id, deliveries.c.state == "due")
    return {
        "leases": _delete(store, leases, leases.c.granted_at < now - LEASES_KEPT_FOR),
        "outbox": _delete_events(store, (outbox.c.id < first_id(now - EVENTS_KEPT_FOR)) & ~still_due),
        "replies": _delete(store, replies, replies.c.created_at < now - REPLIES_KEPT_FOR),
        "sessions": _delete(store, sessions, sessions.c.expires_at < now),
    }


def _delete(store: Store, table: Table, old: ColumnElement[bool]) -> int:
    (key,) = table.primary_key.columns
    deleted = 0
    while True:
        with store.write() as connection:
            some = connection.scalars(select(key).where(old).limit(_BATCH)).all()
            connection.execute(delete(table).where(key.in_(some)))
        deleted += len(some)
        if len(some) < _BATCH:
            return deleted


def _delete_events(store: Store, old: ColumnElement[bool]) -> int:
    deleted = 0
    while True:
        with store.write() as connection:
            some = connection.scalars(select(outbox.c.id).where(old).order_by(outbox.c.id).limit(_BATCH)).all()
            connection.execute(delete(deliveries).where(deliveries.c.event_id.in_(some)))
            connection.execute(delete(outbox).where(outbox.c.id.in_(some)))
        deleted += len(some)
        if len(some) < _BATCH:
            return deleted
