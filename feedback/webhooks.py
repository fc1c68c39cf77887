"""Webhooks: where events are sent, as operators say it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, func, select, update

from core.errors import Fault, InvalidError, NotFoundError
from core.ids import new_id
from core.roles import Caller
from feedback import audit
from feedback.outbox import EVENTS
from feedback.schema import deliveries, webhooks
from feedback.store import Store

MAX_URL = 2_000
"""Longest URL taken, in characters."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, by the Standard Webhooks specification 1.0.0
_SECRET_BYTES = 32
_COLUMNS = tuple(webhooks.c[name] for name in ("id", "url", "secret", "events", "private", "created_at"))


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events go, and which: `events` None is all; `private` allows addresses that are not public.

    `secret` signs what is sent: `whsec_` and 32 random bytes in base64. It has to be kept readable, unlike a key.
    """

    id: str
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...] | None
    private: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookState:
    """A webhook and its deliveries: how many wait (`due`), arrived, and were given up (`failed`)."""

    webhook: Webhook
    due: int
    delivered: int
    failed: int


def add_webhook(store: Store, caller: Caller, url: str, events: Sequence[str] | None, *, private: bool) -> Webhook:
    """Send `events` (None: all of them) to `url` from now on; return the webhook with its new secret.

    Raises:
        InvalidError: the URL cannot be used, or there is no such event.
        UnavailableError: the store is away.
    """
    check_webhook(url, events)
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    wanted = tuple(sorted(set(events))) if events else None
    with store.write() as connection:
        made = Webhook(new_id(), url, secret, wanted, private, store.now(connection))
        row = {column.name: getattr(made, column.name) for column in _COLUMNS}
        connection.execute(webhooks.insert().values(row | {"events": list(wanted) if wanted else None}))
        host = urlsplit(url).hostname
        audit.note(connection, caller, "webhooks.add", made.id, host=host, events=_joined(wanted), private=private)
    return made


def check_webhook(url: str, events: Sequence[str] | None) -> None:
    """Check what `add_webhook` would take, adding nothing.

    Raises:
        InvalidError: the URL cannot be used, or there is no such event.
    """
    faults = [*_url_faults(url), *_event_faults(events)]
    if faults:
        raise InvalidError(faults)


def remove_webhook(store: Store, caller: Caller, webhook_id: str) -> None:
    """Send nothing more to a webhook; what still waits for it is given up.

    Raises:
        NotFoundError: there is no such webhook.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        lock_deliveries(store, connection, webhook_id)
        find_webhook(connection, webhook_id)
        connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(removed_at=store.now(connection)))
        waiting = (deliveries.c.webhook_id == webhook_id) & (deliveries.c.state == "due")
        connection.execute(update(deliveries).where(waiting).values(state="failed", error="the webhook was removed"))
        audit.note(connection, caller, "webhooks.remove", webhook_id)


def list_webhooks(store: Store) -> list[WebhookState]:
    """Return every webhook that was not removed, oldest first, and what became of its deliveries.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        rows = connection.execute(select(*_COLUMNS).where(webhooks.c.removed_at.is_(None)).order_by(webhooks.c.id))
        found = [webhook_of(row) for row in rows]
        grouped = select(deliveries.c.webhook_id, deliveries.c.state, func.count()).group_by(
            deliveries.c.webhook_id, deliveries.c.state
        )
        counts = {(webhook_id, state): n for webhook_id, state, n in connection.execute(grouped)}
    states = ("due", "delivered", "failed")
    return [WebhookState(webhook, *(counts.get((webhook.id, state), 0) for state in states)) for webhook in found]


def find_webhook(connection: Connection, webhook_id: str) -> Webhook:
    """Return a webhook that was not removed.

    Raises:
        NotFoundError: there is none of that id.
    """
    wanted = (webhooks.c.id == webhook_id) & webhooks.c.removed_at.is_(None)
    row = connection.execute(select(*_COLUMNS).where(wanted)).one_or_none()
    if row is None:
        raise NotFoundError(f"no webhook {webhook_id!r}; `regrade webhooks list` shows those there are")
    return webhook_of(row)


def webhook_of(row: Row[Any]) -> Webhook:
    """Return the webhook that a row of `webhooks` tells of."""
    events = tuple(row.events) if row.events is not None else None
    return Webhook(row.id, row.url, row.secret, events, row.private, row.created_at)


def lock_deliveries(store: Store, connection: Connection, webhook_id: str) -> None:
    """Let nobody else change the deliveries of a webhook before this write transaction ends.

    Many rows are changed at once, and PostgreSQL would find two such changes in each other's way.
    """
    store.lock(connection, f"webhook {webhook_id}")


def _url_faults(url: str) -> list[Fault]:
    fault = _url_fault(url)
    return [Fault(("url",), fault)] if fault else []


def _url_fault(url: str) -> str | None:
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"is over {MAX_URL:,} characters, or has white space or characters outside ASCII; encode them"
    try:
        parts = urlsplit(url)
        port_is_possible = parts.port != 0
    except ValueError as error:
        return f"is no URL ({error}); expected https://HOST/PATH"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_possible:
        return f"has the scheme {parts.scheme!r} and the host {parts.hostname or ''!r}; expected https://HOST/PATH"
    if "@" in parts.netloc or parts.fragment:
        return "has a user name, password or fragment; leave them out: what is sent is signed with a secret instead"
    return None


def _event_faults(events: Sequence[str] | None) -> list[Fault]:
    expected = ", ".join(EVENTS)
    return [
        Fault(("events",), f"no event {name!r}; expected {expected}") for name in events or () if name not in EVENTS
    ]


def _joined(events: Sequence[str] | None) -> str:
    return ",".join(events) if events else "all"
