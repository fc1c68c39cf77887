"""What helps only for a while goes after a while."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Table, func, select

from core.ids import first_id
from feedback.replies import KEPT_FOR
from feedback.retention import EVENTS_KEPT_FOR, LEASES_KEPT_FOR, forget_old
from feedback.schema import deliveries, leases, outbox, replies, webhooks
from feedback.store import Store
from tests.support.rows import row

OLD, YOUNG = timedelta(minutes=1), -timedelta(minutes=1)
MANY = 1_500
"""More than one transaction's worth."""


def count(store: Store, table: Table) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def add(store: Store, table: Table, number: int, **values: object) -> None:
    with store.write() as connection:
        connection.execute(table.insert().values(row(table, number) | values))


def test_nothing_is_forgotten_in_an_empty_store(store: Store) -> None:
    assert forget_old(store) == {"leases": 0, "outbox": 0, "replies": 0, "sessions": 0}


def test_old_leases_and_replies_go(store: Store) -> None:
    with store.read() as connection:
        now = store.now(connection)
    with store.write() as connection:
        granted = now - LEASES_KEPT_FOR - OLD
        rows = [row(leases, number) | {"token": f"token {number}", "granted_at": granted} for number in range(MANY)]
        connection.execute(leases.insert(), rows)
    add(store, leases, MANY, token="young", granted_at=now - LEASES_KEPT_FOR - YOUNG)
    for number, age in enumerate((OLD, YOUNG)):
        add(store, replies, number, id=number + 1, key=str(number), created_at=now - KEPT_FOR - age)
    assert forget_old(store) == {"leases": MANY, "outbox": 0, "replies": 1, "sessions": 0}
    assert (count(store, leases), count(store, replies)) == (1, 1)


def test_events_go_once_nobody_waits_for_them(store: Store) -> None:
    with store.read() as connection:
        now = store.now(connection)
    add(store, webhooks, 1, id="hook")
    for number, (age, state) in enumerate([(OLD, "delivered"), (OLD, "failed"), (OLD, "due"), (YOUNG, "delivered")]):
        event = first_id(now - EVENTS_KEPT_FOR - age)[:-1] + str(number)
        add(store, outbox, number, id=event)
        add(store, deliveries, number, event_id=event, webhook_id="hook", state=state)
    add(store, outbox, 9, id=first_id(now - EVENTS_KEPT_FOR - OLD)[:-1] + "9")
    assert forget_old(store)["outbox"] == 3
    with store.read() as connection:
        assert sorted(connection.scalars(select(deliveries.c.state))) == ["delivered", "due"]
    assert count(store, outbox) == 2
