"""What stands beside an item, alike items, and disputes, through the public door on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service.adjudication_replies import DisputesReply, SendBackReply
from service.desk_replies import ExamplesReply, GuidelineReply, MineReply, SimilarReply
from tests.support.desk import Desk, unique
from tests.support.server import wait_until


@pytest.fixture(autouse=True)
def _nothing_left(desk: Desk) -> Iterator[None]:
    """Begin every test with empty queues."""
    yield
    for task in ("pair", "tiny-intent"):
        for person in ("rita", "root"):
            while items := desk.claim(person, task, count=50):
                for item in items:
                    assert desk.answer(person, item, label="parcel").status_code == 201


def get(desk: Desk, person: str, path: str, **query: Any) -> Any:
    reply = desk.of(person).get(path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def resolve(desk: Desk, text: str, label: str, task: str = "tiny-intent") -> str:
    """Bring a text, and let Ann resolve it; return its item."""
    [item_id] = desk.bring(task, text)
    [item] = [one for one in desk.claim("ann", task, count=50) if one["item_id"] == item_id]
    assert desk.answer("ann", item, label=label).json()["resolution"] is not None
    return item_id


def dispute(desk: Desk) -> str:
    """Let Ann and Bob, and then Cai, disagree on a new item; return it."""
    [item_id] = desk.bring("pair", unique("what is it"))
    for person, said in (("ann", {"label": "parcel"}), ("bob", {"label": "refund"}), ("cai", {"out_of_scope": True})):
        [item] = [one for one in desk.claim(person, "pair", count=50) if one["item_id"] == item_id]
        assert desk.answer(person, item, **said).status_code == 201
    return item_id


def disputes(desk: Desk, **query: Any) -> Any:
    found = get(desk, "rita", "/v1/queue/pair/disputes", **query)
    DisputesReply.model_validate(found)
    return found


def test_the_guideline(desk: Desk) -> None:
    found = get(desk, "ann", "/v1/tasks/tiny-intent/guideline")
    assert found == {"task": "tiny-intent", "revision": 1, "markdown": "# Tiny\n"}
    GuidelineReply.model_validate(found)
    assert get(desk, "shop", "/v1/tasks/pair/guideline")["markdown"] == ""
    assert desk.of("ann").get("/v1/tasks/secret/guideline").status_code == 404


def test_examples_are_of_people_first(desk: Desk) -> None:
    text = unique("the courier lost it")
    resolve(desk, text, "password")
    path = "/v1/queue/tiny-intent/examples"
    wait_until(lambda: get(desk, "ann", path, label="password")["examples"][0]["text"] == text)
    found = get(desk, "ann", path, label="password", count=20)
    ExamplesReply.model_validate(found)
    sources = [one["source"] for one in found["examples"]]
    assert sources == sorted(sources)
    assert {"people", "starter"} == set(sources)
    assert len(sources) == 20
    assert desk.of("ann").get(path, params={"label": "nonsense"}).status_code == 422
    assert desk.of("ann").get(path).status_code == 422
    assert get(desk, "ann", path, label="out_of_scope", count=1)["examples"] != []


def test_similar_texts(desk: Desk) -> None:
    close, far = unique("where did my parcel go"), unique("completely unlike")
    item_id = resolve(desk, close, "parcel")
    resolve(desk, far, "refund")
    asked = {"text": "where did my parcel go today", "count": 1}

    def found() -> Any:
        return desk.post("ann", "/v1/queue/tiny-intent/similar", asked).json()

    wait_until(lambda: [one["text"] for one in found()["texts"]] == [close])
    SimilarReply.model_validate(found())
    [one] = found()["texts"]
    assert (one["item_id"], one["label"], one["labels"]) == (item_id, "parcel", None)
    assert 0.2 < one["similarity"] <= 1
    for wrong in ({"text": " "}, {"text": "x", "count": 21}, {"text": "x" * 10_001}, {}):
        assert desk.post("ann", "/v1/queue/tiny-intent/similar", wrong).status_code == 422


def test_alike_items_are_claimed_together(desk: Desk) -> None:
    texts = [unique("when will my refund for the broken lamp come") for _ in range(3)]
    ids = desk.bring("tiny-intent", *texts, unique("quite another thing"))
    first = next(one for one in desk.claim("ann", "tiny-intent", count=1))
    assert first["item_id"] == ids[0]
    more = desk.claim("ann", "tiny-intent", count=30, like=ids[0])
    assert sorted(one["item_id"] for one in more) == sorted(ids[1:3])
    for like in ("nonsense", ids[3]):
        reply = desk.post("ann", "/v1/queue/tiny-intent/claim", {"like": like})
        assert reply.status_code == 404, reply.text
    for item in (first, *more):
        assert desk.answer("ann", item, label="refund").status_code == 201


def test_what_one_has_done(desk: Desk) -> None:
    before = get(desk, "ann", "/v1/queue/tiny-intent/mine")
    MineReply.model_validate(before)
    resolve(desk, unique("one more"), "parcel")
    after = get(desk, "ann", "/v1/queue/tiny-intent/mine")
    assert after["answers"] == before["answers"] + 1
    assert get(desk, "ann", "/v1/queue/tiny-intent/mine", since="2099-01-01T00:00:00Z")["answers"] == 0
    assert desk.of("ann").get("/v1/queue/tiny-intent/mine", params={"since": "2031"}).status_code == 422


def test_a_dispute_is_decided_once_and_can_be_taken_back(desk: Desk) -> None:
    item_id = dispute(desk)
    [one] = disputes(desk)["disputes"]
    assert (one["item_id"], one["held"], one["state"]) == (item_id, False, "open")
    assert [(vote["person"], vote["label"]) for vote in one["votes"]] == [
        ("ann", "parcel"),
        ("bob", "refund"),
        ("cai", "out_of_scope"),
    ]
    path = f"/v1/queue/items/{item_id}/decide"
    assert desk.post("ann", path, {"label": "parcel"}).status_code == 403
    for wrong in ({}, {"label": "parcel", "out_of_scope": True}, {"skip": True}, {"label": "nonsense"}):
        assert desk.post("rita", path, wrong).status_code == 422, wrong
    said = {"label": "refund", "comment": "it says so"}
    done = desk.post("rita", path, said, key=item_id)
    assert (done.status_code, done.json()["resolution"]["label"]) == (201, "refund")
    assert desk.post("rita", path, said, key=item_id).json() == done.json()
    assert desk.post("root", path, {"label": "parcel"}).status_code == 409
    assert disputes(desk)["disputes"] == []
    undo = desk.post("rita", f"/v1/queue/items/{item_id}/undo", {"answer_id": done.json()["answer_id"]})
    assert undo.status_code == 200
    assert [one["item_id"] for one in disputes(desk)["disputes"]] == [item_id]
    assert desk.post("rita", path, {"label": "parcel"}).status_code == 201
    again = desk.post("root", path, {"out_of_scope": True, "reopen": True})
    assert again.json()["resolution"]["label"] == "out_of_scope"
    assert [one["label"] for one in desk.item(item_id)["resolutions"]] == ["refund", "parcel", "out_of_scope"]


def test_a_dispute_is_sent_back(desk: Desk) -> None:
    item_id = dispute(desk)
    path = f"/v1/queue/items/{item_id}/send-back"
    assert desk.post("ann", path, {}).status_code == 403
    assert desk.post("rita", path, {"answers": 11}).status_code == 422
    back = desk.post("rita", path, {"answers": 2})
    assert back.status_code == 200, back.text
    SendBackReply.model_validate(back.json())
    assert back.json() == {"item_id": item_id, "round": 2, "stage": "crowd", "answers": 2}
    assert desk.post("root", path, {}).status_code == 409
    assert item_id in {one["item_id"] for one in desk.claim("ann", "pair", count=50)}
    audit = desk.of("root").get("/v1/audit", params={"limit": 1000}).json()["entries"]
    assert ("rita", "send_back", item_id) in {(one["actor"], one["action"], one["object"]) for one in audit}


def test_pages_of_disputes(desk: Desk) -> None:
    made = {dispute(desk) for _ in range(3)}
    first = disputes(desk, limit=2)
    second = disputes(desk, limit=2, after=first["after"])
    assert {one["item_id"] for one in first["disputes"] + second["disputes"]} == made
    assert (first["waiting"], second["after"]) == (3, None)
    assert desk.of("rita").get("/v1/queue/pair/disputes", params={"after": "x"}).status_code == 422
