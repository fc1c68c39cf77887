"""Sending events again: those that failed, those of some time, or one; and one event to try a webhook with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, literal, select, update

from core.errors import NotFoundError
from core.ids import first_id, new_id
from core.roles import Caller
from feedback import audit
from feedback.deliveries import WAITS, Delivery
from feedback.outbox import delivery_row
from feedback.schema import deliveries, outbox, webhooks
from feedback.store import Store
from feedback.webhooks import Webhook, find_webhook, lock_deliveries, webhook_of


def replay(
    store: Store,
    caller: Caller,
    *,
    since: datetime | None = None,
    event_id: str | None = None,
    webhook_id: str | None = None,
) -> int:
    """Make deliveries due again, under the ids they had; return how many.

    Those that failed; or, with `since` or `event_id`, every event since then, or that one, whatever became of it, to
    each webhook that wants such events, also one that was added later. With `webhook_id`, to that webhook only.

    Raises:
        NotFoundError: there is no such webhook or event.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        if event_id is not None:
            _check_event(connection, event_id)
        if webhook_id is not None:
            targets = [find_webhook(connection, webhook_id)]
        else:
            found = select(webhooks).where(webhooks.c.removed_at.is_(None)).order_by(webhooks.c.id)
            targets = [webhook_of(row) for row in connection.execute(found)]
        replayed = sum(_replay_to(store, connection, target, since, event_id) for target in targets)
        moment = since.isoformat() if since else None
        audit.note(
            connection, caller, "webhooks.replay", webhook_id or "all", event=event_id, since=moment, replayed=replayed
        )
    return replayed


def add_test_delivery(store: Store, caller: Caller, webhook_id: str) -> tuple[Webhook, Delivery]:
    """Make an `alert.raised` that says `{"test": true}` and goes to one webhook only; whoever asked sends it.

    It counts as failed until its outcome is written, so that nobody else sends it.

    Raises:
        NotFoundError: there is no such webhook.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        webhook, now = find_webhook(connection, webhook_id), store.now(connection)
        last = len(WAITS) + 1  # the last attempt: what fails is not tried again
        test = Delivery(new_id(), webhook_id, "alert.raised", None, {"test": True}, now, attempts=last)
        event = {"id": test.event_id, "event": test.event, "task": None, "payload": test.payload, "created_at": now}
        connection.execute(outbox.insert().values(event))
        row = {**delivery_row(test.event_id, webhook_id, now), "state": "failed", "attempts": last}
        connection.execute(deliveries.insert().values(row))
        audit.note(connection, caller, "webhooks.test", webhook_id)
    return webhook, test


def _check_event(connection: Connection, event_id: str) -> None:
    if connection.execute(select(outbox.c.id).where(outbox.c.id == event_id)).one_or_none() is None:
        raise NotFoundError(f"no event {event_id!r}; it may be older than what is kept")


def _replay_to(
    store: Store, connection: Connection, webhook: Webhook, since: datetime | None, event_id: str | None
) -> int:
    lock_deliveries(store, connection, webhook.id)
    now = store.now(connection)
    first = {"state": "due", "attempts": 0, "next_at": now, "status": None, "error": None}
    mine = deliveries.c.webhook_id == webhook.id
    if since is None and event_id is None:
        again = update(deliveries).where(mine, deliveries.c.state == "failed").values(first)
        return connection.execute(again).rowcount
    wanted = _wanted(webhook, since, event_id)
    ids = select(outbox.c.id).where(wanted)
    known = connection.execute(update(deliveries).where(mine, deliveries.c.event_id.in_(ids)).values(first)).rowcount
    unknown = ~exists().where(mine, deliveries.c.event_id == outbox.c.id)
    columns = ["event_id", "webhook_id", "state", "attempts", "next_at"]
    rows = select(outbox.c.id, literal(webhook.id), literal("due"), literal(0), literal(now, deliveries.c.next_at.type))
    missing = deliveries.insert().from_select(columns, rows.where(wanted, unknown))
    return known + connection.execute(missing.execution_options(preserve_rowcount=True)).rowcount


def _wanted(webhook: Webhook, since: datetime | None, event_id: str | None) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    if webhook.events is not None:
        conditions.append(outbox.c.event.in_(webhook.events))
    if since is not None:
        conditions.append(outbox.c.id >= first_id(since))
    if event_id is not None:
        conditions.append(outbox.c.id == event_id)
    return and_(*conditions)
