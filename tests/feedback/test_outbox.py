"""Events and their deliveries, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.errors import InvalidError, NotFoundError
from core.roles import Caller
from feedback.deliveries import (
    LOST_AFTER,
    WAITS,
    Delivery,
    Outcome,
    due_webhooks,
    note_outcomes,
    oldest_waiting,
    take_due,
    wait_after,
)
from feedback.outbox import Event, EventName, emit
from feedback.replay import add_test_delivery, replay
from feedback.schema import audit, deliveries, outbox
from feedback.store import Store
from feedback.webhooks import WebhookState, add_webhook, list_webhooks, remove_webhook

ANN = Caller("ann", "admin")
URL = "https://hooks.example.com/regrade?source=1"


def add(store: Store, events: Sequence[str] | None = None) -> str:
    return add_webhook(store, ANN, URL, events, private=False).id


CREATED: EventName = "item.created"


def tell(store: Store, *names: EventName) -> None:
    with store.write() as connection:
        emit(connection, [Event(name, "t", {"item_id": f"{name}-{place}"}) for place, name in enumerate(names)])


def hurry(store: Store, by: timedelta = timedelta(days=2)) -> None:
    """Let time pass for what waits."""
    with store.write() as connection:
        connection.execute(update(deliveries).values(next_at=datetime.now(UTC) - by))


def counts(state: WebhookState) -> tuple[int, int, int]:
    return state.due, state.delivered, state.failed


def end(store: Store, taken: Sequence[Delivery], error: str | None = None, status: int | None = 200) -> None:
    for one in taken:
        note_outcomes(store, one.webhook_id, [Outcome(one, status, error)], lambda: 0.5)


def test_every_webhook_gets_what_it_wants_once(store: Store) -> None:
    tell(store, "alert.raised")
    every, some = add(store), add(store, ["item.resolved", "item.created"])
    tell(store, "item.created", "alert.raised", "item.resolved")
    taken = {webhook: take_due(store, webhook, 10) for webhook in (every, some)}
    assert sorted(one.event for one in taken[every]) == ["alert.raised", "item.created", "item.resolved"]
    assert sorted(one.event for one in taken[some]) == ["item.created", "item.resolved"]
    first = next(one for one in taken[every] if one.event == "item.created")
    assert (first.task, first.payload, first.attempts) == ("t", {"item_id": "item.created-0"}, 1)
    assert {one.event_id for one in taken[some]} < {one.event_id for one in taken[every]}
    assert take_due(store, every, 10) == []
    end(store, [*taken[every], *taken[some]])
    hurry(store)
    assert due_webhooks(store) == []
    assert [counts(state) for state in list_webhooks(store)] == [(0, 3, 0), (0, 2, 0)]


def test_what_is_rolled_back_is_never_sent(store: Store) -> None:
    webhook = add(store)

    def change_and_fail() -> None:
        with store.write() as connection:
            emit(connection, [Event("item.created", "t", {"item_id": "1"})])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert take_due(store, webhook, 10) == []


def test_of_many_senders_one_gets_each_delivery(store: Store) -> None:
    webhook = add(store)
    tell(store, *[CREATED] * 60)

    def send(_: int) -> list[str]:
        mine = []
        while taken := take_due(store, webhook, 4):
            end(store, taken)
            mine += [one.event_id for one in taken]
        return mine

    with ThreadPoolExecutor(6) as pool:
        sent = [event_id for mine in pool.map(send, range(6)) for event_id in mine]
    assert len(sent) == len(set(sent)) == 60
    assert counts(list_webhooks(store)[0]) == (0, 60, 0)


def test_what_a_lost_sender_took_is_due_again_later(store: Store) -> None:
    webhook = add(store)
    tell(store, "item.created")
    (lost,) = take_due(store, webhook, 10)
    hurry(store, by=-LOST_AFTER / 2)
    assert take_due(store, webhook, 10) == []
    hurry(store)
    (again,) = take_due(store, webhook, 10)
    assert (again.event_id, again.attempts) == (lost.event_id, 2)
    end(store, [lost], error="answered 500")
    assert counts(list_webhooks(store)[0]) == (1, 0, 0)
    end(store, [again])
    assert counts(list_webhooks(store)[0]) == (0, 1, 0)


def test_failures_are_tried_again_until_given_up(store: Store) -> None:
    webhook = add(store)
    tell(store, "item.created")
    for attempt, wait in enumerate(WAITS, start=1):
        (taken,) = take_due(store, webhook, 10)
        assert taken.attempts == attempt
        end(store, [taken], "answered 503" + "!" * 1000, 503)
        with store.read() as connection:
            row = connection.execute(select(deliveries)).one()
            assert timedelta(0) <= store.now(connection) + wait - row.next_at < timedelta(seconds=30)
        assert (row.state, row.status, row.error[:12], len(row.error)) == ("due", 503, "answered 503", 300)
        assert [one.id for one in due_webhooks(store)] == []
        hurry(store)
        assert [one.id for one in due_webhooks(store)] == [webhook]
    end(store, take_due(store, webhook, 10), "no answer within 10 s", None)
    hurry(store)
    assert take_due(store, webhook, 10) == []
    assert counts(list_webhooks(store)[0]) == (0, 0, 1)


@given(attempts=st.integers(1, 20), draw=st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_spread(attempts: int, draw: float) -> None:
    wait = wait_after(attempts, draw)
    if attempts > len(WAITS):
        assert wait is None
        return
    assert wait is not None
    assert 0.8 * WAITS[attempts - 1] <= wait <= 1.2 * WAITS[attempts - 1]
    longer = wait_after(attempts + 1, draw)
    assert longer is None or longer > wait


def test_a_removed_webhook_gets_nothing_more(store: Store) -> None:
    webhook, other = add(store), add(store)
    tell(store, "item.created")
    remove_webhook(store, ANN, webhook)
    tell(store, "item.created")
    assert [state.webhook.id for state in list_webhooks(store)] == [other]
    assert take_due(store, webhook, 10) == []
    assert len(take_due(store, other, 10)) == 2
    with pytest.raises(NotFoundError, match=webhook):
        remove_webhook(store, ANN, webhook)
    with pytest.raises(NotFoundError, match=webhook):
        replay(store, ANN, webhook_id=webhook)


def test_failed_deliveries_are_replayed_under_their_ids(store: Store) -> None:
    webhook = add(store)
    tell(store, *[CREATED] * 3)
    ids = {one.event_id for one in take_due(store, webhook, 10)}
    with store.write() as connection:
        connection.execute(update(deliveries).values(state="failed", attempts=len(WAITS) + 1))
    assert replay(store, ANN) == 3
    taken = take_due(store, webhook, 10)
    assert ({one.event_id for one in taken}, {one.attempts for one in taken}) == (ids, {1})
    assert replay(store, ANN) == 0


def test_everything_since_a_moment_is_replayed_also_to_later_webhooks(store: Store) -> None:
    first = add(store)
    tell(store, "item.created", "alert.raised")
    end(store, take_due(store, first, 10))
    later = add(store, ["alert.raised"])
    moment = datetime.now(UTC) - timedelta(hours=1)
    assert replay(store, ANN, since=moment + timedelta(hours=2)) == 0
    assert replay(store, ANN, since=moment, webhook_id=later) == 1
    assert [one.event for one in take_due(store, later, 10)] == ["alert.raised"]
    assert replay(store, ANN, since=moment) == 3
    assert [len(take_due(store, webhook, 10)) for webhook in (first, later)] == [2, 1]


def test_one_event_is_replayed(store: Store) -> None:
    webhook = add(store)
    tell(store, "item.created", "item.created")
    taken = take_due(store, webhook, 10)
    end(store, taken)
    assert replay(store, ANN, event_id=taken[1].event_id) == 1
    assert [one.event_id for one in take_due(store, webhook, 10)] == [taken[1].event_id]
    with pytest.raises(NotFoundError, match="no event"):
        replay(store, ANN, event_id="nothing")


def test_what_is_replayed_while_it_is_sent_is_sent_again(store: Store) -> None:
    webhook = add(store)
    tell(store, "item.created")
    (taken,) = take_due(store, webhook, 10)
    replay(store, ANN, event_id=taken.event_id)
    end(store, [taken])
    assert [one.event_id for one in take_due(store, webhook, 10)] == [taken.event_id]


def test_a_test_delivery_is_sent_by_nobody_else(store: Store) -> None:
    webhook, other = add(store, ["item.created"]), add(store)
    target, delivery = add_test_delivery(store, ANN, webhook)
    assert (target.id, delivery.event, delivery.payload) == (webhook, "alert.raised", {"test": True})
    assert take_due(store, webhook, 10) == take_due(store, other, 10) == []
    assert [counts(state) for state in list_webhooks(store)] == [(0, 0, 1), (0, 0, 0)]
    end(store, [delivery])
    assert [counts(state) for state in list_webhooks(store)] == [(0, 1, 0), (0, 0, 0)]


def test_the_oldest_that_waits_is_known(store: Store) -> None:
    webhook = add(store)
    assert oldest_waiting(store) is None
    tell(store, "item.created")
    with store.write() as connection:
        connection.execute(update(outbox).values(created_at=datetime.now(UTC) - timedelta(hours=3)))
    tell(store, "item.created")
    waited = oldest_waiting(store)
    assert waited is not None
    assert timedelta(hours=3) <= waited < timedelta(hours=4)
    end(store, take_due(store, webhook, 1))
    waited = oldest_waiting(store)
    assert waited is not None
    assert waited < timedelta(hours=1)
    remove_webhook(store, ANN, webhook)
    assert oldest_waiting(store) is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.com/",
        "hooks.example.com/regrade",
        "https:///path",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com/a b",
        "https://hööks.example.com/",
        "https://hooks.example.com/\x00",
        "https://[::1/",
        "https://hooks.example.com/" + "x" * 2_000,
        "",
    ],
)
def test_urls_that_cannot_be_used_are_refused(store: Store, url: str) -> None:
    with pytest.raises(InvalidError, match="url: ") as caught:
        add_webhook(store, ANN, url, None, private=True)
    assert "secret" not in str(caught.value).replace("signed with a secret", "")
    assert list_webhooks(store) == []


def test_unknown_events_are_refused(store: Store) -> None:
    with pytest.raises(InvalidError, match=r"no event 'item\.lost'; expected item\.created"):
        add(store, ["item.created", "item.lost"])


def test_secrets_are_random_and_kept_out_of_sight(store: Store) -> None:
    first, second = (add_webhook(store, ANN, URL, None, private=False) for _ in range(2))
    assert first.secret != second.secret
    assert first.secret not in repr(first)
    with store.read() as connection:
        noted = [row._asdict() for row in connection.execute(select(audit).order_by(audit.c.id))]
    assert [(entry["actor"], entry["action"], entry["object"]) for entry in noted] == [
        ("ann", "webhooks.add", first.id),
        ("ann", "webhooks.add", second.id),
    ]
    assert not any(hidden in str(noted) for hidden in (first.secret, second.secret, "source=1"))
