"""The queue through the public door: whole walks of people, on both databases, over a service of two workers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from feedback.schema import slots
from tests.support.desk import Desk, unique
from tests.support.server import wait_until


@pytest.fixture(autouse=True)
def _nothing_left(desk: Desk) -> Iterator[None]:
    """Begin every test with empty queues: what another one left is skipped by all."""
    yield
    for task in ("pair", "tiny-intent", "brief", "many", "checked"):
        for person in ("rita", "root"):
            while items := desk.claim(person, task, count=50):
                for item in items:
                    said: dict[str, Any] = {"labels": []} if task == "many" else {"label": "parcel"}
                    assert desk.answer(person, item, **said).status_code == 201


def find(desk: Desk, person: str, task: str, item_id: str) -> dict[str, Any]:
    """Claim until `item_id` comes, and return it."""
    items = desk.claim(person, task, count=50)
    return next(one for one in items if one["item_id"] == item_id)


def let_expire(desk: Desk, item_id: str) -> None:
    """Let the leases of an item be over, as if time had passed."""
    with desk.store.write() as connection:
        over = desk.store.now(connection) - timedelta(seconds=1)
        held = (slots.c.item_id == item_id, slots.c.state == "leased")
        connection.execute(update(slots).where(*held).values(lease_expires_at=over))


def test_a_crowd_of_two_agrees(desk: Desk) -> None:
    text = unique("where is my parcel")
    [item_id] = desk.bring("pair", text)
    first, second = (find(desk, person, "pair", item_id) for person in ("ann", "bob"))
    assert first["lease_token"] != second["lease_token"]
    assert (first["text"], first["language"], first["reason"], first["suggestions"]) == (text, "en", None, [])
    assert desk.claim("cai", "pair") == []
    waiting = desk.answer("ann", first, label="parcel")
    assert waiting.status_code == 201
    assert (waiting.json()["counted"], waiting.json()["resolution"]) == (True, None)
    done = desk.answer("bob", second, label="parcel", comment="clear", proposed_label="lost parcel").json()
    assert done["resolution"]["label"] == "parcel"
    item = desk.item(item_id)
    assert (item["state"], item["reason"], item["resolution"]["label"]) == ("resolved", "imported", "parcel")
    assert [(one["annotator"], one["label"]) for one in item["answers"]] == [("ann", "parcel"), ("bob", "parcel")]
    assert (item["answers"][1]["comment"], item["answers"][1]["proposed_label"]) == ("clear", "lost parcel")


def test_disagreement_asks_a_third_person(desk: Desk) -> None:
    [item_id] = desk.bring("pair", unique("refund my parcel"))
    for person, label in (("ann", "parcel"), ("bob", "refund")):
        item = find(desk, person, "pair", item_id)
        assert desk.answer(person, item, label=label).json()["resolution"] is None
    third = find(desk, "cai", "pair", item_id)
    desk.answer("cai", third, label="refund")
    assert desk.item(item_id)["wanted"] == 3


def test_exact_copies_share_an_item_while_it_is_open(desk: Desk) -> None:
    text = unique("track my parcel")
    body = {"texts": [{"text": text}, {"text": f"  {text.upper()} "}], "priority": 9}
    reply = desk.post("rita", "/v1/queue/tiny-intent/items", body)
    assert reply.status_code == 202
    first, second = reply.json()["items"]
    assert first["item_id"] == second["item_id"]
    assert [one["duplicate"] for one in (first, second)] == [False, True]
    [again] = desk.post("rita", "/v1/queue/tiny-intent/items", {"texts": [{"text": text}]}).json()["items"]
    assert again == {"item_id": first["item_id"], "duplicate": True}
    item = find(desk, "ann", "tiny-intent", first["item_id"])
    assert desk.answer("ann", item, label="parcel").json()["resolution"]["label"] == "parcel"
    [later] = desk.post("rita", "/v1/queue/tiny-intent/items", {"texts": [{"text": text}]}).json()["items"]
    assert later["item_id"] != first["item_id"]


def test_what_comes_with_an_imported_text_stays_with_it(desk: Desk) -> None:
    about = {"subject": "customer-1", "metadata": {"ticket": "T-1"}, "language": "zh-Hans"}
    row = {"text": unique("lost 包裹 😡"), **about}
    reply = desk.post("rita", "/v1/queue/tiny-intent/items", {"texts": [row]})
    item_id = reply.json()["items"][0]["item_id"]
    item = desk.item(item_id)
    assert {name: item[name] for name in row} == row
    assert [one["item_id"] for one in desk.claim("ann", "tiny-intent", language="zh-Hans")] == [item_id]
    audit = desk.of("root").get("/v1/audit", params={"limit": 1000}).json()["entries"]
    assert ("rita", "import", "tiny-intent") in {(one["actor"], one["action"], one["object"]) for one in audit}


def test_personal_numbers_never_get_into_the_queue(desk: Desk) -> None:
    mark = uuid.uuid4().hex
    [item_id] = desk.bring("tiny-intent", f"write to someone@example.org about {mark}")
    assert desk.item(item_id)["text"] == f"write to <EMAIL> about {mark}"
    item = find(desk, "ann", "tiny-intent", item_id)
    desk.answer("ann", item, label="parcel", comment="is someone@example.org, I think")
    assert desk.item(item_id)["answers"][0]["comment"] == "is <EMAIL>, I think"


def test_urgent_texts_come_first(desk: Desk) -> None:
    [later] = desk.bring("tiny-intent", unique("password please"), priority=0)
    [first] = desk.bring("tiny-intent", unique("lost my parcel"), priority=10)
    assert [item["item_id"] for item in desk.claim("ann", "tiny-intent", count=2)] == [first, later]


def test_skip_flag_and_out_of_scope(desk: Desk) -> None:
    skipped, flagged, outside = desk.bring("tiny-intent", *(unique(f"what is it {n}") for n in range(3)))
    mine = {item["item_id"]: item for item in desk.claim("ann", "tiny-intent", count=50)}
    assert desk.answer("ann", mine[skipped], skip=True).json()["resolution"] is None
    assert desk.answer("ann", mine[flagged], flag="two questions in one").json()["resolution"] is None
    assert desk.answer("ann", mine[outside], out_of_scope=True).json()["resolution"]["label"] == "out_of_scope"
    assert desk.claim("ann", "tiny-intent", count=50) == []
    hers = {item["item_id"] for item in desk.claim("rita", "tiny-intent", count=50)}
    assert hers == {skipped, flagged}
    kinds = [one["kind"] for item_id in (skipped, flagged, outside) for one in desk.item(item_id)["answers"]]
    assert kinds == ["skip", "flag", "out_of_scope"]
    assert desk.item(flagged)["answers"][0]["comment"] == "two questions in one"


def test_an_answer_can_be_taken_back(desk: Desk) -> None:
    [item_id] = desk.bring("tiny-intent", unique("money back"))
    item = find(desk, "ann", "tiny-intent", item_id)
    answered = desk.answer("ann", item, label="parcel").json()
    path = f"/v1/queue/items/{item_id}/undo"
    assert desk.post("bob", path, {"answer_id": answered["answer_id"]}).status_code == 403
    undone = desk.post("ann", path, {"answer_id": answered["answer_id"]})
    assert undone.status_code == 200
    assert desk.item(item_id)["state"] == "open"
    assert desk.post("ann", path, {"answer_id": answered["answer_id"]}).status_code == 409
    again = desk.answer("ann", undone.json(), label="refund").json()
    assert again["resolution"]["label"] == "refund"
    said = [(one["label"], one["undone"]) for one in desk.item(item_id)["answers"]]
    assert said == [("parcel", True), ("refund", False)]


def test_a_person_answers_once_and_a_released_token_is_done(desk: Desk) -> None:
    answered, released = desk.bring("pair", unique("first thing"), unique("second thing"))
    mine = {item["item_id"]: item for item in desk.claim("ann", "pair", count=50)}
    assert desk.answer("ann", mine[answered], label="parcel").status_code == 201
    assert desk.answer("ann", mine[answered], label="refund").status_code == 409
    path = f"/v1/queue/items/{released}"
    lease = {"lease_token": mine[released]["lease_token"]}
    given_back = desk.post("ann", f"{path}/release", lease)
    assert (given_back.status_code, given_back.content) == (204, b"")
    assert desk.answer("ann", mine[released], label="parcel").status_code == 409
    assert desk.post("ann", f"{path}/heartbeat", lease).status_code == 409
    assert [item["item_id"] for item in desk.claim("ann", "pair", count=50)] == [released]


def test_somebody_elses_token_is_refused_and_noted(desk: Desk) -> None:
    [item_id] = desk.bring("pair", unique("whose is it"))
    item = find(desk, "ann", "pair", item_id)
    before = desk.item(item_id)
    for act, said in (("answer", {"label": "parcel"}), ("heartbeat", {}), ("release", {})):
        stolen = {"lease_token": item["lease_token"], **said}
        assert desk.post("bob", f"/v1/queue/items/{item_id}/{act}", stolen).status_code == 403
    assert desk.item(item_id) == before
    assert desk.answer("ann", {**item, "lease_token": "x" * 43}, label="parcel").status_code == 404
    assert desk.answer("ann", item, label="parcel").status_code == 201
    audit = desk.of("root").get("/v1/audit", params={"limit": 1000}).json()["entries"]
    refused = [one["actor"] for one in audit if (one["action"], one["object"]) == ("lease.refused", item_id)]
    assert refused == ["bob"] * 3


def test_late_answers_are_never_thrown_away(desk: Desk) -> None:
    expired, taken = desk.bring("brief", unique("late but free"), unique("late and taken"))
    mine = {item["item_id"]: item for item in desk.claim("ann", "brief", count=50)}
    heartbeat = {"lease_token": mine[expired]["lease_token"]}
    held = desk.post("ann", f"/v1/queue/items/{expired}/heartbeat", heartbeat)
    assert held.json()["lease_expires_at"] > mine[expired]["lease_expires_at"]
    let_expire(desk, taken)
    assert [item["item_id"] for item in desk.claim("bob", "brief", count=50)] == [taken]
    late = desk.answer("ann", mine[taken], label="refund")
    assert (late.status_code, late.json()["counted"]) == (201, "extra")
    let_expire(desk, expired)
    still_free = desk.answer("ann", mine[expired], label="parcel")
    assert (still_free.status_code, still_free.json()["counted"]) == (201, True)


def test_several_labels_a_text(desk: Desk) -> None:
    both, none = desk.bring("many", unique("parcel and refund"), unique("neither"))
    mine = {item["item_id"]: item for item in desk.claim("ann", "many", count=50)}
    wrong = desk.answer("ann", mine[both], label="parcel")
    assert (wrong.status_code, "labels" in wrong.text) == (422, True)
    said = desk.answer("ann", mine[both], labels=["refund", "parcel", "refund"]).json()
    assert said["resolution"]["labels"] == ["parcel", "refund"]
    assert desk.answer("ann", mine[none], labels=[]).json()["resolution"]["labels"] == []
    assert desk.item(none)["resolution"]["labels"] == []


def test_the_same_key_does_the_same_thing_once(desk: Desk) -> None:
    desk.bring("pair", *(unique(f"once {n}") for n in range(4)))
    for path, body, other in (
        ("/v1/queue/pair/claim", {"count": 2}, {"count": 3}),
        ("/v1/queue/pair/items", {"texts": [{"text": unique("x")}]}, {"texts": [{"text": unique("y")}]}),
    ):
        person, key = ("rita" if path.endswith("items") else "ann"), f"key-{uuid.uuid4()}"
        first, again = (desk.post(person, path, body, key) for _ in range(2))
        assert first.status_code == again.status_code
        assert first.json() == again.json()
        assert desk.post(person, path, other, key).status_code == 409
    mine = desk.post("ann", "/v1/queue/pair/claim", {"count": 2}, key).json()["items"]
    assert len(mine) == 2
    path, key = f"/v1/queue/items/{mine[0]['item_id']}/answer", f"key-{uuid.uuid4()}"
    body = {"lease_token": mine[0]["lease_token"], "label": "parcel"}
    first, again = (desk.post("ann", path, body, key) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert desk.post("ann", path, {**body, "label": "refund"}, key).status_code == 409
    assert len(desk.item(mine[0]["item_id"])["answers"]) == 1


def test_check_items_look_like_the_others(desk: Desk) -> None:
    checks = {unique(f"known {n}") for n in range(8)}
    rows = [{"text": text, "label": "refund"} for text in checks]
    reply = desk.post("rita", "/v1/queue/checked/items", {"texts": rows, "check": True})
    assert reply.status_code == 202
    again = desk.post("rita", "/v1/queue/checked/items", {"texts": rows, "check": True})
    assert [one["item_id"] for one in again.json()["items"]] == [one["item_id"] for one in reply.json()["items"]]
    contradiction = [{**rows[0], "label": "parcel"}]
    assert desk.post("rita", "/v1/queue/checked/items", {"texts": contradiction, "check": True}).status_code == 409
    desk.bring("checked", *(unique(f"real {n}") for n in range(12)))
    items = desk.claim("ann", "checked", count=12)
    met = [item for item in items if item["text"] in checks]
    assert met
    assert {(item["reason"], len(item["suggestions"]), len(item)) for item in items} == {(None, 0, 7)}
    replies = {
        item["item_id"]: desk.answer("ann", item, label="parcel" if item is met[0] else "refund").json()
        for item in items
    }
    shapes = {(reply["counted"], *sorted(reply["resolution"])) for reply in replies.values()}
    assert len(shapes) == 1
    people = desk.of("rita").get("/v1/queue/checked/annotators").json()["annotators"]
    ann = next(one for one in people if one["person"] == "ann")
    assert (ann["checks"], ann["right"]) == (len(met), len(met) - 1)
    assert ann["confusion"]["refund"]["parcel"] == 1


def test_nobody_works_in_a_task_without_a_grant(desk: Desk) -> None:
    reply = desk.post("root", "/v1/queue/secret/items", {"texts": [{"text": unique("hush")}]})
    item_id = reply.json()["items"][0]["item_id"]
    [item] = desk.claim("root", "secret", count=1)
    assert desk.post("ann", "/v1/queue/secret/claim", {}).status_code == 404
    assert desk.post("rita", "/v1/queue/secret/items", {"texts": [{"text": "a"}]}).status_code == 404
    assert desk.of("rita").get("/v1/queue/secret/stats").status_code == 404
    assert desk.of("rita").get(f"/v1/queue/items/{item_id}").status_code == 404
    for act, body in (("answer", {"label": "parcel"}), ("heartbeat", {}), ("release", {})):
        lease = {"lease_token": item["lease_token"], **body}
        assert desk.post("ann", f"/v1/queue/items/{item_id}/{act}", lease).status_code == 404
    assert desk.answer("root", item, label="parcel").status_code == 201


@pytest.mark.parametrize(
    "item_id", ["nope", "%00", "a'--", "6f1d2c3b-8a94-4e57-b0c1-d2e3f4a5b6c7", "019a0000-0000-7000-8000-00000000000g"]
)
def test_ids_of_nothing_are_not_found(desk: Desk, item_id: str) -> None:
    assert desk.of("rita").get(f"/v1/queue/items/{item_id}").status_code == 404
    for act, body in (
        ("answer", {"lease_token": "x", "label": "parcel"}),
        ("heartbeat", {"lease_token": "x"}),
        ("release", {"lease_token": "x"}),
        ("undo", {"answer_id": "x"}),
    ):
        assert desk.post("rita", f"/v1/queue/items/{item_id}/{act}", body).status_code == 404


def test_bad_texts_are_named_and_none_is_taken(desk: Desk) -> None:
    good = unique("good")
    texts = [good, "", "a\x00b", " ", "x" * 10_001]
    reply = desk.post("rita", "/v1/queue/tiny-intent/items", {"texts": [{"text": text} for text in texts]})
    assert reply.status_code == 422
    assert [error["loc"] for error in reply.json()["errors"]] == [["texts", n, "text"] for n in range(1, 5)]
    assert all(item["text"] != good for item in desk.claim("ann", "tiny-intent", count=50))
    for body, word in (
        ({"texts": []}, "at least 1"),
        ({"texts": [{"text": "a"}] * 1001}, "1000"),
        ({"texts": [{"text": "a"}], "priority": 11}, "priority"),
        ({"texts": [{"text": "a", "label": "parcel"}]}, "check"),
        ({"texts": [{"text": "a"}], "check": True}, "known answer"),
        ({"texts": [{"text": "a", "label": "nope"}], "check": True}, "nope"),
        ({"texts": [{"text": "a", "metadata": {"k": "\x00"}}]}, "U+0000"),
        ({"texts": [{"text": "a", "subject": "\x00"}]}, "U+0000"),
        ({"texts": [{"text": "a", "more": 1}]}, "unknown field"),
    ):
        reply = desk.post("rita", "/v1/queue/tiny-intent/items", body)
        assert (reply.status_code, word in reply.text) == (422, True), reply.text


def test_answers_that_say_nothing_or_too_much_are_refused(desk: Desk) -> None:
    [item_id] = desk.bring("tiny-intent", unique("say what"))
    item = find(desk, "ann", "tiny-intent", item_id)
    for said, word in (
        ({}, "none was given"),
        ({"label": "parcel", "skip": True}, "label and skip were given"),
        ({"label": "nope"}, "parcel, refund, password"),
        ({"labels": ["parcel"]}, "label"),
        ({"spans": [{"start": 0, "end": 3, "label": "parcel"}]}, "spans"),
        ({"skip": False}, "skip"),
        ({"label": "parcel", "comment": "x" * 2_001}, "2000"),
        ({"label": "parcel", "comment": "a\x00"}, "U+0000"),
        ({"label": "parcel", "proposed_label": "x" * 201}, "200"),
        ({"flag": ""}, "flag"),
    ):
        reply = desk.answer("ann", item, **said)
        assert (reply.status_code, word in reply.text) == (422, True), reply.text
    assert desk.item(item_id)["answers"] == []
    assert desk.answer("ann", item, label="parcel").status_code == 201


def test_two_workers_hand_out_every_item_once(desk: Desk) -> None:
    wanted = set(desk.bring("tiny-intent", *(unique(f"item {n}") for n in range(60))))

    def work(person: str) -> list[str]:
        done = []
        while items := desk.claim(person, "tiny-intent", count=7):
            for item in items:
                assert desk.answer(person, item, label="parcel").status_code == 201
                done.append(item["item_id"])
        return done

    with ThreadPoolExecutor(4) as threads:
        done = [item for mine in threads.map(work, ["ann", "bob", "cai", "rita"]) for item in mine]
    assert len(done) == len(wanted)
    assert set(done) == wanted


def test_the_queue_is_told_in_figures(desk: Desk) -> None:
    before = desk.of("ann").get("/v1/queue/pair/stats").json()
    desk.bring("pair", unique("count me"), unique("count me too"))
    stats = desk.of("ann").get("/v1/queue/pair/stats").json()
    assert stats["open"] == before["open"] + 2
    assert desk.answer("ann", desk.claim("ann", "pair")[0], label="parcel").status_code == 201
    wait_until(lambda: _metric(desk, 'regrade_queue_items{reason="imported",state="open",task="pair"}') is not None)
    for name in ("regrade_queue_oldest_seconds", "regrade_lease_expiries_total", "regrade_answers_total"):
        wait_until(lambda name=name: _metric(desk, f"{name}{{") is not None)


def _metric(desk: Desk, name: str) -> float | None:
    for line in desk.of("ann").get("/metrics").text.splitlines():
        if line.startswith(name):
            return float(line.rsplit(" ", 1)[1])
    time.sleep(0.2)
    return None
