"""What nobody should send, sent to every endpoint that writes: refused as the contract says, and nothing changed."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select

from feedback.schema import metadata
from tests.support.desk import Desk, unique

SQL = [
    "'; DROP TABLE items; --",
    '" OR 1=1 --',
    "x'); DELETE FROM texts; --",
    "%' UNION SELECT secret FROM webhooks --",
    "\\'; UPDATE keys SET role = 'admin'; --",
]
ANYTHING = [
    *SQL,
    "😡" * 50,
    "我的包裹在哪里",
    "\u202eparcel",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "e\u0301",
]
NOT_JSON = [b"", b"{", b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 100_000]


def tables(desk: Desk) -> dict[str, int]:
    """Count the rows of what people's requests write; the rest is the service's own, at its own times."""
    own = {"replies", "duties", "keys", "audit", "seals", "outbox", "deliveries", "summaries", "traffic"}
    with desk.store.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in own
        }


@pytest.mark.parametrize("text", ANYTHING)
def test_every_field_is_only_text(desk: Desk, text: str) -> None:
    """What looks like SQL, markup or a formula is kept as it is, and does nothing."""
    mark = uuid.uuid4().hex
    row = {"text": f"{text} {mark}", "subject": text, "metadata": {text: text}}
    reply = desk.post(
        "rita", "/v1/queue/tiny-intent/items", {"texts": [row]}, key=f"{mark} {text}" if text.isascii() else mark
    )
    assert reply.status_code == 202, reply.text
    item_id = reply.json()["items"][0]["item_id"]
    items = desk.claim("ann", "tiny-intent", count=50)
    claimed = next(one for one in items if one["item_id"] == item_id)
    assert claimed["text"] == row["text"]
    answered = desk.answer("ann", claimed, label="parcel", comment=text, proposed_label=text)
    assert answered.status_code == 201, answered.text
    item = desk.item(item_id)
    assert {name: item[name] for name in row} == row
    assert (item["answers"][0]["comment"], item["answers"][0]["proposed_label"]) == (text, text)
    reported = {"task": "tiny-intent", "text": f"{text} {mark}", "label": "parcel", "comment": text, "source": text}
    reply = desk.post("shop", "/v1/feedback", reported)
    assert reply.status_code == 201, reply.text
    assert desk.item(reply.json()["item_id"])["reports"][0]["source"] == text


@pytest.mark.parametrize("text", SQL)
def test_no_name_or_token_is_more_than_a_name(desk: Desk, text: str) -> None:
    [item_id] = desk.bring("pair", unique("which is it"))
    [claimed] = [one for one in desk.claim("ann", "pair", count=50) if one["item_id"] == item_id]
    before = tables(desk)
    assert desk.claim("bob", "pair", label=text) == []
    assert desk.post("bob", "/v1/queue/pair/claim", {"language": text}).status_code == 422
    assert desk.answer("ann", claimed, label=text).status_code == 422
    assert desk.answer("ann", {**claimed, "lease_token": text[:64]}, label="parcel").status_code == 404
    path = f"/v1/queue/items/{item_id}"
    for act in ("heartbeat", "release"):
        assert desk.post("ann", f"{path}/{act}", {"lease_token": text[:64]}).status_code == 404
    assert desk.post("ann", f"{path}/undo", {"answer_id": text[:64]}).status_code == 404
    assert desk.post("shop", "/v1/feedback", {"prediction_id": text[:64], "correct": True}).status_code == 404
    assert desk.of("rita").get(f"/v1/predictions/{text}").status_code == 404
    assert desk.post("rita", f"/v1/queue/{text}/items", {"texts": [{"text": "a"}]}).status_code == 404
    assert tables(desk) == before
    released = desk.post("ann", f"{path}/release", {"lease_token": claimed["lease_token"]})
    assert released.status_code == 204


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_json_is_refused_everywhere(desk: Desk, body: bytes) -> None:
    before = tables(desk)
    item = "/v1/queue/items/019a0000-0000-7000-8000-000000000000"
    for person, path in (
        ("rita", "/v1/queue/pair/items"),
        ("ann", "/v1/queue/pair/claim"),
        *(("ann", f"{item}/{act}") for act in ("answer", "heartbeat", "release", "undo")),
        ("shop", "/v1/feedback"),
    ):
        reply = desk.of(person).post(path, content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, path) == (400, path)
        reply = desk.of(person).post(path, content=b"{}", headers={"Content-Type": "text/plain"})
        assert (reply.status_code, path) == (415, path)
    assert tables(desk) == before


def test_a_comment_of_ten_megabytes_is_refused(desk: Desk) -> None:
    [item_id] = desk.bring("pair", unique("long story"))
    [claimed] = [one for one in desk.claim("ann", "pair", count=50) if one["item_id"] == item_id]
    before = tables(desk)
    reply = desk.answer("ann", claimed, label="parcel", comment="x" * 10_000_000)
    assert reply.status_code == 422
    assert len(reply.content) < 2_000
    assert desk.answer("ann", claimed, label="parcel", comment="x" * 17_000_000).status_code == 413
    body = {"task": "pair", "text": "a", "label": "parcel", "comment": "x" * 10_000_000}
    assert desk.post("shop", "/v1/feedback", body).status_code == 422
    assert tables(desk) == before
    assert desk.answer("ann", claimed, label="parcel", comment="x" * 2_000).status_code == 201


def test_the_longest_text_comes_through_whole(desk: Desk) -> None:
    text = unique("我") + "😡" * 9_000
    [item_id] = desk.bring("tiny-intent", text)
    assert desk.item(item_id)["text"] == text
    many = [{"text": unique("many")} for _ in range(1_000)]
    reply = desk.post("rita", "/v1/queue/many/items", {"texts": many})
    assert reply.status_code == 202
    assert len({one["item_id"] for one in reply.json()["items"]}) == 1_000


@pytest.mark.parametrize(
    "body",
    [
        {f"key{n}": n for n in range(100_000)},
        {"texts": [{f"key{n}": n for n in range(1_000)}] * 100},
        {"texts": ["a"] * 100_000},
        {"texts": [{"text": "a", "metadata": dict.fromkeys(map(str, range(1_000)), "v")}]},
    ],
)
def test_floods_get_short_answers(desk: Desk, body: dict[str, Any]) -> None:
    before = tables(desk)
    reply = desk.post("rita", "/v1/queue/pair/items", body)
    assert reply.status_code == 422
    assert len(reply.content) < 200_000
    assert tables(desk) == before


def test_nobody_speaks_for_another_task_or_role(desk: Desk) -> None:
    [item_id] = desk.bring("pair", unique("not for apps"))
    before = tables(desk)
    for person, path, body in (
        ("shop", "/v1/queue/pair/claim", {}),
        ("shop", "/v1/queue/pair/items", {"texts": [{"text": "a"}]}),
        ("ann", "/v1/queue/pair/items", {"texts": [{"text": "a"}]}),
        ("ann", "/v1/feedback", {"task": "pair", "text": "a", "label": "parcel"}),
        ("shop", f"/v1/queue/items/{item_id}/answer", {"lease_token": "x", "label": "parcel"}),
    ):
        assert desk.post(person, path, body).status_code == 403
    assert desk.of("ann").get(f"/v1/queue/items/{item_id}").status_code == 403
    assert desk.of("ann").get("/v1/queue/pair/annotators").status_code == 403
    assert tables(desk) == before
    entries = desk.of("root").get("/v1/audit", params={"limit": 1000}).json()["entries"]
    refused = {(one["actor"], one["object"]) for one in entries if one["action"] == "refused"}
    assert {who for who, _ in refused} >= {"shop", "ann"}
    assert any("/v1/feedback" in what for who, what in refused if who == "ann")


def test_metrics_and_log_hold_no_text(desk: Desk) -> None:
    secret = uuid.uuid4().hex
    [item_id] = desk.bring("tiny-intent", f"my story {secret}")
    [claimed] = [one for one in desk.claim("ann", "tiny-intent", count=50) if one["item_id"] == item_id]
    desk.answer("ann", claimed, label="parcel", comment=f"about {secret}")
    desk.post("shop", "/v1/feedback", {"task": "tiny-intent", "text": secret, "label": "nope"})
    assert secret not in desk.of("ann").get("/metrics").text
    assert secret not in desk.server.log.read_text(encoding="utf-8")
    assert secret not in json.dumps(desk.of("root").get("/v1/audit", params={"limit": 1000}).json())
