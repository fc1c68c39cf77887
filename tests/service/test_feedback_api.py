"""Direct feedback of applications, through the public door of a service with two workers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.ids import new_id
from service.predictions_api import PredictionView
from tests.conftest import missing
from tests.support import postgres
from tests.support.desk import Desk, run_desk, unique
from tests.support.server import wait_until

FEEDBACK = "/v1/feedback"


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk")) as running:
        yield running


def predict(desk: Desk, text: str, **more: Any) -> dict[str, Any]:
    """Return a prediction of which nobody is asked by itself."""
    reply = desk.post("shop", "/v1/tasks/tiny-intent/predict", {"text": text, **more})
    assert reply.status_code == 200, reply.text
    [said] = reply.json()["predictions"]
    assert said["review"] is None
    return dict(said)


def report(desk: Desk, person: str = "shop", **body: Any) -> httpx.Response:
    return desk.post(person, FEEDBACK, body)


def told(desk: Desk, prediction: dict[str, Any], person: str = "shop") -> dict[str, Any]:
    reply = desk.of(person).get(f"/v1/predictions/{prediction['id']}")
    assert reply.status_code == 200, reply.text
    PredictionView.model_validate_json(reply.content)
    return dict(reply.json())


def test_a_prediction_is_found_again_at_once(desk: Desk) -> None:
    text = unique("where is my parcel")
    said = predict(desk, text, subject="customer-1", metadata={"order": "a"}, language="en")
    found = told(desk, said)
    assert {name: found[name] for name in ("id", "label", "confidence", "scores")} == {
        name: said[name] for name in ("id", "label", "confidence", "scores")
    }
    assert (found["subject"], found["metadata"], found["task"]) == ("customer-1", {"order": "a"}, "tiny-intent")
    assert found["text"] == text
    assert (found["item"], found["reports"]) == (None, [])


def test_right_is_kept_and_asks_nobody(desk: Desk) -> None:
    said = predict(desk, unique("where is my parcel"))
    reply = report(desk, prediction_id=said["id"], correct=True, source="agent-desk")
    assert (reply.status_code, reply.json()["item_id"]) == (201, None)
    assert report(desk, prediction_id=said["id"], label=said["label"]).status_code == 201
    reports = told(desk, said)["reports"]
    assert [(one["correct"], one["label"], one["source"]) for one in reports] == [
        (True, None, "agent-desk"),
        (True, said["label"], None),
    ]


def test_a_confident_wrong_answer_becomes_one_item(desk: Desk) -> None:
    said = predict(desk, unique("lost parcel"))
    reply = report(desk, prediction_id=said["id"], correct=False, comment="they wrote to me@example.org")
    assert reply.status_code == 201
    item = desk.item(reply.json()["item_id"])
    assert (item["state"], item["reason"]) == ("open", "user_report")
    assert item["suggestions"][0]["label"] == said["label"]
    other = next(label for label in ("parcel", "refund", "password") if label != said["label"])
    again = report(desk, prediction_id=said["id"], label=other)
    assert again.json()["item_id"] == item["id"]
    assert [one["prediction_id"] for one in desk.item(item["id"])["reports"]] == [said["id"]] * 2
    with desk.store.read() as connection:
        comments = list(connection.exec_driver_sql("SELECT content FROM texts WHERE content LIKE 'they wrote%'"))
    assert comments == [("they wrote to <EMAIL>",)]


def test_an_open_copy_of_the_text_is_shared(desk: Desk) -> None:
    said = predict(desk, unique("refund my money"))
    [item_id] = desk.bring("tiny-intent", told(desk, said)["text"])
    assert report(desk, prediction_id=said["id"], correct=False).json()["item_id"] == item_id


def test_a_text_without_a_prediction_can_be_reported(desk: Desk) -> None:
    text = unique("call me on 0171 234567 89")
    reply = report(desk, task="tiny-intent", text=text, label="password", subject="customer-2")
    assert reply.status_code == 201
    item = desk.item(reply.json()["item_id"])
    assert (item["reason"], item["subject"], item["answers"]) == ("user_report", "customer-2", [])
    assert "<PHONE>" in item["text"]


def test_where_the_task_says_so_a_report_is_one_answer_of_the_crowd(desk: Desk) -> None:
    text = unique("where is it")
    reply = report(desk, task="pair", text=text, label="parcel")
    item_id = reply.json()["item_id"]
    report(desk, task="pair", text=text, label="refund")  # the same voter again
    item = desk.item(item_id)
    assert [(one["annotator"], one["role"], one["label"]) for one in item["answers"]] == [("app:shop", "app", "parcel")]
    [claimed] = [one for one in desk.claim("ann", "pair", count=50) if one["item_id"] == item_id]
    assert desk.answer("ann", claimed, label="parcel").json()["resolution"]["label"] == "parcel"
    assert desk.item(item_id)["state"] == "resolved"


def test_nobody_sees_or_reports_what_another_key_predicted(desk: Desk) -> None:
    said = predict(desk, unique("new password please"))
    wait_until(lambda: desk.of("root").get(f"/v1/predictions/{said['id']}").status_code == 200)
    assert desk.of("rival").get(f"/v1/predictions/{said['id']}").status_code == 404
    assert report(desk, "rival", prediction_id=said["id"], correct=False).status_code == 404
    assert report(desk, "ann", prediction_id=said["id"], correct=False).status_code == 403
    assert desk.of("rita").get(f"/v1/predictions/{said['id']}").status_code == 200
    assert told(desk, said)["reports"] == []
    assert report(desk, task="secret", text="a", label="parcel").status_code == 404


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    for identifier in ("nope", "%00", str(uuid.uuid4()), "00000000-0000-7000-8000-000000000000"):
        assert desk.of("shop").get(f"/v1/predictions/{identifier}").status_code == 404
        assert report(desk, prediction_id=identifier, correct=True).status_code == 404
    assert report(desk, prediction_id=new_id(), correct=True).status_code == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "prediction_id or both of task and text"),
        ({"prediction_id": "x"}, "none was given"),
        ({"prediction_id": "x", "correct": True, "label": "parcel"}, "correct and label were given"),
        ({"prediction_id": "x", "correct": "yes"}, "correct"),
        ({"prediction_id": "x", "correct": True, "text": "a"}, "leave it out"),
        ({"prediction_id": "x\x00", "correct": True}, "U+0000"),
        ({"prediction_id": "x", "correct": True, "comment": "x" * 2001}, "2000"),
        ({"prediction_id": "x", "correct": True, "comment": "\x00"}, "U+0000"),
        ({"prediction_id": "x", "correct": True, "source": "\x00"}, "U+0000"),
        ({"prediction_id": "x", "correct": True, "more": 1}, "unknown field"),
        ({"task": "tiny-intent", "text": "a", "correct": True}, "nothing was predicted"),
        ({"task": "tiny-intent", "text": " ", "label": "parcel"}, "blank"),
        ({"task": "tiny-intent", "text": "a", "label": "nope"}, "parcel, refund, password"),
        ({"task": "tiny-intent", "text": "a", "labels": ["parcel"]}, "wants 'label'"),
    ],
)
def test_bad_feedback_is_explained(desk: Desk, body: dict[str, Any], word: str) -> None:
    reply = desk.post("shop", FEEDBACK, body)
    assert (reply.status_code, word in reply.text) == (422, True), reply.text


def test_the_same_key_reports_once(desk: Desk) -> None:
    said = predict(desk, unique("money back please"))
    key, body = f"key-{uuid.uuid4()}", {"prediction_id": said["id"], "correct": False}
    first, again = (desk.post("shop", FEEDBACK, body, key) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert desk.post("shop", FEEDBACK, {**body, "correct": True}, key).status_code == 409
    assert len(told(desk, said)["reports"]) == 1


def test_a_key_that_reports_too_much_is_slowed(desk: Desk) -> None:
    """The task takes 30 a minute, of each key, whichever worker answers."""
    statuses = []
    for _ in range(40):
        with desk.server.client() as client:
            headers = {"Authorization": desk.of("rival").headers["Authorization"]}
            body = {"task": "tiny-intent", "text": "too much", "label": "parcel"}
            reply = client.post(FEEDBACK, json=body, headers=headers)
        statuses.append(reply.status_code)
    assert statuses[:30] == [201] * 30
    assert set(statuses[30:]) == {429}
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert report(desk, task="tiny-intent", text="not too much", label="parcel").status_code == 201


@pytest.mark.slow
def test_feedback_goes_on_while_the_store_is_away(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not postgres.has_programs():
        missing("PostgreSQL")
    folder = tmp_path_factory.mktemp("away")
    with postgres.own_postgres() as database, run_desk(tiny_home, folder, database.url) as desk:
        before = predict(desk, unique("track my parcel"))
        told(desk, before)
        database.stop()
        during = predict(desk, unique("where is my parcel"))
        replies = [report(desk, prediction_id=one["id"], correct=False) for one in (before, during)]
        replies.append(report(desk, task="tiny-intent", text=unique("by text"), label="parcel"))
        unknown = report(desk, prediction_id="00000000-0000-7000-8000-000000000000", correct=True)
        assert [reply.status_code for reply in (*replies, unknown)] == [201] * 4
        assert desk.post("ann", "/v1/queue/pair/claim", {}).status_code == 503
        assert "retry-after" in desk.of("shop").get(f"/v1/predictions/{before['id']}").headers
        database.start()
        wait_until(lambda: desk.of("shop").get(f"/v1/predictions/{during['id']}").status_code == 200)
        for said in (before, during):
            wait_until(lambda said=said: len(told(desk, said)["reports"]) == 1)
        wait_until(lambda: desk.of("ann").get("/v1/queue/tiny-intent/stats").json()["open"] == 3)
