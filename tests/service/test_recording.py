"""Recording through a real service: what is asked about is there before the reply, the rest soon after."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from core.ids import new_id
from feedback.predictions import find_prediction
from feedback.schema import items, predictions
from feedback.store import Store
from tests.support.memory import EVERYTHING, NOTHING, counted, home_that_asks, linked, store_of
from tests.support.server import Server, run_server, wait_until

PREDICT = "/v1/tasks/tiny-intent/predict"


@pytest.fixture(scope="module")
def asking(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that asks people about every prediction."""
    folder = tmp_path_factory.mktemp("asking")
    with run_server(home_that_asks(tiny_home, folder, EVERYTHING), folder) as server:
        yield server


@pytest.fixture(scope="module")
def store(asking: Server) -> Iterator[Store]:
    opened = store_of(asking.home)
    yield opened
    opened.close()


def predict(client: httpx.Client, headers: dict[str, str] | None = None, **body: Any) -> list[dict[str, Any]]:
    reply = client.post(PREDICT, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    predicted: list[dict[str, Any]] = reply.json()["predictions"]
    return predicted


def test_what_the_reply_says_is_committed(asking: Server, store: Store) -> None:
    about: dict[str, Any] = {"subject": "customer-7", "language": "en-GB", "metadata": {"channel": "mail"}}
    with asking.client() as client:
        (said,) = predict(client, text="where is my parcel, says jane@example.com", top_k=1, **about)
    assert len(said["scores"]) == 1
    found = find_prediction(store, said["id"])
    assert found is not None
    assert found["text"] == "where is my parcel, says <EMAIL>"
    assert (found["subject"], found["language"], found["metadata"]) == ("customer-7", "en-GB", {"channel": "mail"})
    assert (found["label"], found["confidence"]) == (said["label"], said["confidence"])
    assert len(found["scores"]) == 3
    assert found["scores"][0] == said["scores"][0]
    assert (found["reason"], found["inclusion"]) == (said["review"]["reason"], 1.0)
    assert found["item"]["item_id"] == said["review"]["item_id"]
    assert found["item"]["state"] == "open"


def test_every_text_of_a_request_has_its_own_item(asking: Server, store: Store) -> None:
    with asking.client() as client:
        said = predict(client, texts=[f"my parcel {word} is late" for word in ("a", "b", "c")] * 2)
    pairs = {one["id"]: one["review"]["item_id"] for one in said}
    assert len(pairs) == 6
    assert len(set(pairs.values())) == 3
    assert [one["review"]["item_id"] for one in said[:3]] == [one["review"]["item_id"] for one in said[3:]]
    assert pairs.items() <= linked(store).items()


def test_copies_of_an_open_item_share_it_whichever_worker_answers(asking: Server, store: Store) -> None:
    said = []
    for _ in range(8):
        with asking.client() as client:
            said += predict(client, text="The Parcel  has NOT come") + predict(client, text="the parcel has not come")
    assert len({one["review"]["item_id"] for one in said}) == 1
    assert len({one["id"] for one in said}) == 16
    assert {one["id"] for one in said} <= linked(store).keys()


def test_of_a_request_that_fails_nothing_is_recorded(asking: Server, store: Store) -> None:
    before = len(linked(store))
    with asking.client() as client:
        assert client.post(PREDICT, json={"texts": ["never to be seen", "  "]}).status_code == 422
    assert len(linked(store)) == before


def test_a_replayed_request_is_recorded_once(asking: Server, store: Store) -> None:
    headers = {"Idempotency-Key": new_id()}
    before = counted(store)
    with asking.client() as client:
        replies = [predict(client, headers, text="refund me once") for _ in range(3)]
    assert replies[0] == replies[1] == replies[2]
    assert counted(store) == before + 1


def test_bentomls_door_records_too(asking: Server, store: Store) -> None:
    with asking.client() as client:
        reply = client.post("/predict", json={"task": "tiny-intent", "text": "by the other door"})
        (said,) = reply.json()["predictions"]
    assert linked(store)[said["id"]] == said["review"]["item_id"]


def test_items_hold_what_people_need(asking: Server, store: Store) -> None:
    with asking.client() as client:
        (said,) = predict(client, text="password reset for the new one")
    with store.read() as connection:
        item = connection.execute(select(items).where(items.c.id == said["review"]["item_id"])).one()
    assert (item.stage, item.wanted, item.language, item.revision) == ("expert", 1, "en", 1)
    assert item.suggestions[0] == [said["label"], said["confidence"]]
    assert item.text_id == said["id"]


def test_metrics_tell_of_it(asking: Server) -> None:
    with asking.client() as client:
        predict(client, text="counted")
        seen = client.get("/metrics").text
    assert 'regrade_reviews_total{reason="' in seen
    assert "regrade_record_seconds_count" in seen
    assert "regrade_records_lost_total 0.0" in seen


def test_without_doubt_nobody_waits_and_nothing_is_forgotten_at_the_end(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(home_that_asks(tiny_home, tmp_path, NOTHING), tmp_path) as server:
        # Thresholds are the model's own: what it doubts has an item, and the rest is written in the background.
        with server.client() as client:
            said = predict(client, texts=[f"where is my parcel {number}" for number in range(100)])
            wait_until(lambda: len(linked(store_of(server.home))) == 100, 10)
            said += predict(client, texts=[f"i want a refund {number}" for number in range(100)])
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
        store = store_of(server.home)
        assert counted(store) == 200
        found = linked(store)
        assert {one["id"]: (one["review"] or {}).get("item_id") for one in said} == found
        with store.read() as connection:
            rows = connection.execute(select(predictions.c.inclusion, predictions.c.item_id)).all()
        assert all((row.inclusion == 1.0) == (row.item_id is not None) for row in rows)
        store.close()


def test_recording_can_be_switched_off(tiny_home: Path, tmp_path: Path) -> None:
    home = home_that_asks(tiny_home, tmp_path, EVERYTHING)
    with run_server(home, tmp_path, workers=1, REGRADE_RECORD="off") as server, server.client() as client:
        assert predict(client, text="where is my parcel")[0]["review"] is None
        assert linked(store_of(server.home)) == {}


def test_where_nothing_can_be_kept_predictions_go_on_and_losses_are_counted(tiny_home: Path, tmp_path: Path) -> None:
    """The store's tables are gone, and the spool's file cannot be one."""
    home = home_that_asks(tiny_home, tmp_path, EVERYTHING)
    with run_server(home, tmp_path, workers=1) as server, server.client() as client:
        assert predict(client, text="kept")[0]["review"] is not None
        with store_of(server.home).write() as connection:
            connection.exec_driver_sql("ALTER TABLE predictions RENAME TO elsewhere")
        (server.home / "spool.sqlite3").mkdir()
        assert predict(client, text="lost")[0]["review"] is None
        wait_until(lambda: "regrade_records_lost_total 1.0" in client.get("/metrics").text, 10)
        with store_of(server.home).write() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO predictions")
        wait_until(lambda: predict(client, text="kept again")[0]["review"] is not None, 10)
