"""Deliveries: each event's way to each webhook, at least once.

Whoever sends takes deliveries first, which makes them due again later, and writes afterwards how it went. A sender that
dies between sending and writing therefore sends twice, and never not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, func, select, update

from feedback.schema import deliveries, outbox, webhooks
from feedback.store import Store
from feedback.webhooks import Webhook, lock_deliveries, webhook_of

WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 2 * 60, 15 * 60, 60 * 60, 6 * 60 * 60, 24 * 60 * 60))
"""How long to wait after each attempt that failed; after one more the delivery has failed for good."""

LOST_AFTER = timedelta(seconds=60)
"""When a delivery whose sender never said how it went is due again; longer than any attempt lasts."""

_JITTER = 0.2
_MAX_ERROR = 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a webhook; `attempts` counts this one, `task` is None for what concerns no task."""

    event_id: str
    webhook_id: str
    event: str
    task: str | None
    payload: dict[str, Any]
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: the HTTP `status`, where there was one, and the `error`, None when it was delivered."""

    delivery: Delivery
    status: int | None
    error: str | None


def wait_after(attempts: int, draw: float) -> timedelta | None:
    """Return how long to wait after `attempts` failures, spread by a fifth either way; None: give up.

    `draw` is uniform in [0, 1), so that what failed together is not sent together again.
    """
    if attempts > len(WAITS):
        return None
    return WAITS[attempts - 1] * (1 - _JITTER + 2 * _JITTER * draw)


def due_webhooks(store: Store) -> list[Webhook]:
    """Return the webhooks that something is due for now.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        due = _waiting(webhooks.c.id) & (deliveries.c.next_at <= store.now(connection))
        wanted = select(webhooks).where(webhooks.c.removed_at.is_(None), exists().where(due)).order_by(webhooks.c.id)
        return [webhook_of(row) for row in connection.execute(wanted)]


def take_due(store: Store, webhook_id: str, count: int) -> list[Delivery]:
    """Take up to `count` due deliveries of a webhook, longest due first; nobody else gets them for `LOST_AFTER`.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deliveries(store, connection, webhook_id)
        now = store.now(connection)
        due = _waiting(webhook_id) & (deliveries.c.next_at <= now)
        rows = connection.execute(_DELIVERIES.where(due).order_by(deliveries.c.next_at).limit(count)).all()
        taken = _row(webhook_id, [row.event_id for row in rows])
        later = {"attempts": deliveries.c.attempts + 1, "next_at": now + LOST_AFTER}
        if rows:
            connection.execute(update(deliveries).where(taken).values(later))
    return [Delivery(**(row._asdict() | {"attempts": row.attempts + 1})) for row in rows]


def note_outcomes(store: Store, webhook_id: str, outcomes: Sequence[Outcome], draw: Callable[[], float]) -> None:
    """Write how attempts for one webhook ended; one that was replayed or taken anew meanwhile is left alone.

    `draw` gives uniform numbers in [0, 1) for `wait_after`.

    Raises:
        UnavailableError: the store is away.
    """
    if not outcomes:
        return
    with store.write() as connection:
        lock_deliveries(store, connection, webhook_id)
        now = store.now(connection)
        connection.execute(_NOTE, [_noted(outcome, now, draw) for outcome in outcomes])


def oldest_waiting(store: Store) -> timedelta | None:
    """Return the age of the oldest event that some webhook has yet to take, or None when nothing waits.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        # Ids are in the order of creation, and the index of what waits holds them.
        wanted = select(func.min(deliveries.c.event_id)).where(_waiting(webhooks.c.id), webhooks.c.removed_at.is_(None))
        oldest = select(outbox.c.created_at).where(outbox.c.id == wanted.scalar_subquery())
        created_at: datetime | None = connection.execute(oldest).scalar_one_or_none()
        return store.now(connection) - created_at if created_at is not None else None


_DELIVERIES = select(
    deliveries.c.event_id,
    deliveries.c.webhook_id,
    outbox.c.event,
    outbox.c.task,
    outbox.c.payload,
    outbox.c.created_at,
    deliveries.c.attempts,
).join(outbox, outbox.c.id == deliveries.c.event_id)

_NOTE = (
    update(deliveries)
    .where(
        deliveries.c.event_id == bindparam("of_event"),
        deliveries.c.webhook_id == bindparam("of_webhook"),
        deliveries.c.attempts == bindparam("of_attempts"),
    )
    .values({name: bindparam(f"new_{name}") for name in ("state", "next_at", "status", "error")})
)


def _waiting(webhook_id: ColumnElement[str] | str) -> ColumnElement[bool]:
    return (deliveries.c.webhook_id == webhook_id) & (deliveries.c.state == "due")


def _row(webhook_id: str, event_ids: Sequence[str]) -> ColumnElement[bool]:
    return (deliveries.c.webhook_id == webhook_id) & deliveries.c.event_id.in_(event_ids)


def _noted(outcome: Outcome, now: datetime, draw: Callable[[], float]) -> dict[str, Any]:
    delivery = outcome.delivery
    wait = wait_after(delivery.attempts, draw()) if outcome.error is not None else None
    state = "delivered" if outcome.error is None else "due" if wait is not None else "failed"
    return {
        "of_event": delivery.event_id,
        "of_webhook": delivery.webhook_id,
        "of_attempts": delivery.attempts,
        "new_state": state,
        "new_next_at": now + wait if wait is not None else now,
        "new_status": outcome.status,
        "new_error": outcome.error[:_MAX_ERROR] if outcome.error is not None else None,
    }
