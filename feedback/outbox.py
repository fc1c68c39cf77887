"""Events for webhooks, written in the transaction of what they tell of.

Whom an event goes to is decided in that same transaction: every webhook that wants it gets a delivery, or, when the
change is rolled back, none. No later scan could miss an event that was committed out of order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, select

from core.ids import new_id
from feedback.bulk import write_rows
from feedback.schema import deliveries, outbox, webhooks

EventName = Literal["item.created", "item.resolved", "model.promoted", "alert.raised"]
EVENTS: tuple[EventName, ...] = get_args(EventName)
"""Every event there is."""

_INSERT = outbox.insert()
_SUBSCRIBED = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.removed_at.is_(None))


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell; `payload` holds ids and figures, never a text."""

    name: EventName
    task: str | None
    payload: dict[str, Any]


def emit(connection: Connection, events: Sequence[Event]) -> None:
    """Write `events` into the outbox, and a delivery of each for every webhook that wants it now."""
    if not events:
        return
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {"id": new_id(), "event": e.name, "task": e.task, "payload": e.payload, "created_at": now} for e in events
    ]
    write_rows(connection, _INSERT, rows)
    addressed = [
        delivery_row(row["id"], webhook.id, now)
        for webhook in connection.execute(_SUBSCRIBED)
        for row in rows
        if webhook.events is None or row["event"] in webhook.events
    ]
    if addressed:
        connection.execute(deliveries.insert(), addressed)


def delivery_row(event_id: str, webhook_id: str, now: datetime) -> Mapping[str, Any]:
    """Return the row of a delivery that is due `now` for the first time."""
    return {"event_id": event_id, "webhook_id": webhook_id, "state": "due", "attempts": 0, "next_at": now}
