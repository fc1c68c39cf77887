"""Events for webhooks, written in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection

from core.ids import new_id
from feedback.schema import outbox

EventName = Literal["item.created", "item.resolved", "model.promoted", "alert.raised"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell; `payload` holds ids and figures, never a text."""

    name: EventName
    task: str | None
    payload: dict[str, Any]


def emit(connection: Connection, events: Sequence[Event]) -> None:
    """Write `events` into the outbox."""
    if events:
        now = datetime.now(UTC)
        rows = [
            {"id": new_id(), "event": e.name, "task": e.task, "payload": e.payload, "created_at": now} for e in events
        ]
        connection.execute(outbox.insert(), rows)
