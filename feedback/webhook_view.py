"""Webhooks as people read them: how their latest deliveries went, at a cost that does not grow with all there were."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, select

from feedback.schema import deliveries, webhooks
from feedback.store import Store

LATEST = 500
"""Deliveries that are looked at, newest first, of all webhooks together."""

_MOST_DUE = 1_000
_MOST_WEBHOOKS = 100


@dataclass(frozen=True)
class WebhookHealth:
    """Where events go, by host alone because a path may be a secret, and how that goes.

    `events` None is all. `due` deliveries wait, 1,000 at most. Of the `LATEST` deliveries of all webhooks, `delivered`
    and `failed` (given up) are this one's; `status` and `error` are of its latest attempt that failed, None without.
    """

    id: str
    host: str
    events: tuple[str, ...] | None
    private: bool
    created_at: datetime
    due: int
    delivered: int
    failed: int
    status: int | None
    error: str | None


def webhook_health(store: Store) -> list[WebhookHealth]:
    """Return the webhooks that were not removed, oldest first and 100 at most.

    Raises:
        UnavailableError: the store is away.
    """
    about = select(*(deliveries.c[name] for name in ("webhook_id", "state", "status", "error")))
    newest = about.order_by(deliveries.c.event_id.desc(), deliveries.c.webhook_id.desc()).limit(LATEST)
    wanted = select(webhooks).where(webhooks.c.removed_at.is_(None)).order_by(webhooks.c.id).limit(_MOST_WEBHOOKS)
    with store.read() as connection:
        latest = connection.execute(newest).all()
        rows = connection.execute(wanted).all()
        due = {row.id: _due(connection, row.id) for row in rows}
    states = Counter((one.webhook_id, one.state) for one in latest)
    failed = {one.webhook_id: one for one in reversed(latest) if one.error}
    return [
        WebhookHealth(
            id=row.id,
            host=urlsplit(row.url).hostname or "",
            events=tuple(row.events) if row.events is not None else None,
            private=row.private,
            created_at=row.created_at,
            due=due[row.id],
            delivered=states[row.id, "delivered"],
            failed=states[row.id, "failed"],
            status=failed[row.id].status if row.id in failed else None,
            error=failed[row.id].error if row.id in failed else None,
        )
        for row in rows
    ]


def _due(connection: Connection, webhook_id: str) -> int:
    waiting = (deliveries.c.webhook_id == webhook_id) & (deliveries.c.state == "due")
    some = select(deliveries.c.event_id).where(waiting).limit(_MOST_DUE).subquery()
    counted: int = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return counted
