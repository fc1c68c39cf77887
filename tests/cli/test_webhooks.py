"""`regrade webhooks`: added, listed, tried, sent again and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from feedback.outbox import Event, emit
from feedback.schema import audit
from feedback.store import Store
from feedback.webhooks import list_webhooks
from tests.support.memory import store_of
from tests.support.receiver import Receiver, receiving, status

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


def add(regrade: Regrade, *arguments: str) -> dict[str, Any]:
    done = regrade("webhooks", "add", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def listed(regrade: Regrade) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(regrade("webhooks", "list", "--json").stdout)["webhooks"]
    return found


def tell(store: Store) -> None:
    with store.write() as connection:
        emit(connection, [Event("item.created", "t", {"item_id": "1"}), Event("alert.raised", None, {})])


def test_the_secret_is_shown_once(regrade: Regrade, home: Path) -> None:
    made = add(regrade, "https://1.1.1.1/hook", "--event", "item.created", "--event", "alert.raised")
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["alert.raised", "item.created"]
    (one,) = listed(regrade)
    assert (one["id"], one["url"], one["private"]) == (made["id"], "https://1.1.1.1/hook", False)
    table = regrade("webhooks", "list").stdout
    assert made["id"] in table
    assert made["secret"] not in table + json.dumps(one)
    with store_of(home).read() as connection:
        (noted,) = connection.execute(select(audit)).all()
    assert (noted.action, noted.object, noted.actor[:4]) == ("webhooks.add", made["id"], "cli:")


def test_a_test_event_goes_to_one_webhook_at_once(regrade: Regrade, receiver: Receiver) -> None:
    made = add(regrade, receiver.url, "--private", "--event", "item.created")
    add(regrade, receiver.url, "--private")
    done = regrade("webhooks", "test", made["id"])
    assert done.returncode == 0, done.stderr
    (got,) = receiver.got
    assert got.json()["type"] == "alert.raised"
    assert got.json()["data"] == {"task": None, "test": True}
    assert [one["delivered"] for one in listed(regrade)] == [1, 0]
    receiver.answers = [status(503)]
    failed = regrade("webhooks", "test", made["id"])
    assert failed.returncode == 1
    assert "did not arrive: answered 503" in failed.stderr
    assert [(one["due"], one["failed"]) for one in listed(regrade)] == [(0, 1), (0, 0)]


def test_events_are_made_due_again(regrade: Regrade, home: Path, receiver: Receiver) -> None:
    store = store_of(home)
    tell(store)
    made = add(regrade, receiver.url, "--private")
    assert [one["due"] for one in listed(regrade)] == [0]
    done = regrade("webhooks", "replay", made["id"], "--since", "1h")
    assert (done.returncode, done.stderr) == (
        0,
        "3 deliveries are due again; the service sends them\n",
    )  # with that of the first version
    assert [one["due"] for one in listed(regrade)] == [3]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "0 deliveries" in regrade("webhooks", "replay", "--since", tomorrow).stderr
    wrong = regrade("webhooks", "replay", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "30m, 12h, 2d" in wrong.stderr
    unknown = regrade("webhooks", "replay", "--event", "none")
    assert (unknown.returncode, "no event 'none'" in unknown.stderr) == (1, True)
    store.close()


def test_a_removed_webhook_is_gone(regrade: Regrade, receiver: Receiver) -> None:
    made = add(regrade, receiver.url, "--private")
    assert regrade("webhooks", "remove", made["id"]).returncode == 0
    assert listed(regrade) == []
    again = regrade("webhooks", "remove", made["id"])
    assert again.returncode == 1
    assert f"no webhook '{made['id']}'" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://127.0.0.1:9/"], "has the address 127.0.0.1, which is not public"),
        (["https://user:pass@1.1.1.1/"], "has a user name"),
        (["ftp://1.1.1.1/"], "expected https://HOST/PATH"),
        (["https://1.1.1.1/", "--event", "item.lost"], "no event 'item.lost'"),
    ],
)
def test_what_cannot_be_used_is_refused(regrade: Regrade, home: Path, arguments: list[str], said: str) -> None:
    done = regrade("webhooks", "add", *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert list_webhooks(store_of(home)) == []


def test_a_name_that_is_unknown_yet_is_taken(regrade: Regrade) -> None:
    done = regrade("webhooks", "add", "https://nowhere.invalid/hook")
    assert done.returncode == 0
    assert "nowhere.invalid cannot be resolved" in done.stderr
