"""Who comes in: open mode and its end, keys good and bad, and what is written down of those who are refused."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import OverloadedError, UnauthenticatedError, UnavailableError
from core.settings import load_settings
from feedback.audit import Entry, head, list_entries, verify
from feedback.keys import create_key, list_keys
from feedback.store import Store, open_store
from service import callers as callers_module
from service.admin_key import AdminKey
from service.callers import WRONG_KEYS_A_MINUTE, Callers
from service.exchange import Incoming
from tests.support.keys import MAKER, KeyedHome, bearer, make_keyed_home
from tests.support.server import Server, run_server, wait_until

PREDICT = "/v1/tasks/tiny-intent/predict"


def assert_problem(reply: httpx.Response, status: int, word: str = "") -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert word.lower() in reply.json()["detail"].lower()


def store_of(server: Server) -> Store:
    return open_store(load_settings(home=server.home).store_url)


def refusals(server: Server) -> list[Entry]:
    store = store_of(server)
    try:
        return [entry for entry in list_entries(store, limit=1000) if entry.action == "refused"]
    finally:
        store.close()


@pytest.fixture(scope="module")
def keyed(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> KeyedHome:
    return make_keyed_home(tiny_home, tmp_path_factory.mktemp("keyed") / "home")


@pytest.fixture(scope="module")
def server(keyed: KeyedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, with keys, on an address that others can reach."""
    folder = tmp_path_factory.mktemp("server")
    with run_server(keyed.home, folder, REGRADE_HOST="0.0.0.0") as running:
        yield running


# Open mode


def test_open_mode_and_its_end(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path) as server, server.client() as client:
        file = server.home / "admin.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        admin = bearer(file.read_text().strip())
        assert [path.name for path in server.home.glob(".admin*")] == []

        assert client.get("/v1/audit").json() == {"entries": []}
        for reply in (client.get("/v1/keys"), client.post("/v1/keys", json={"person": "a", "role": "app"})):
            assert_problem(reply, 401, "admin.key")
            assert reply.headers["www-authenticate"] == "Bearer"
        assert_problem(client.get("/v1/tasks", headers=bearer("rg_wrong")), 401)
        assert client.get("/v1/keys", headers=admin).json() == {"keys": []}

        for name in (b"", b"x" * 201, b"a\x07b", b"\xff\xfe"):
            reply = client.get("/v1/tasks", headers={b"X-Regrade-Annotator": name})
            assert reply.status_code in {400, 422}, reply.text  # the server itself refuses control characters
        named = client.get("/v1/tasks", headers={b"X-Regrade-Annotator": "王 伟".encode()})
        assert named.status_code == 200

        made = client.post("/v1/keys", json={"person": "anna", "role": "reviewer"}, headers=admin).json()

        def is_over() -> bool:
            with server.client() as other:
                return other.get("/v1/tasks").status_code == 401

        wait_until(lambda: all(is_over() for _ in range(12)), 10)
        assert client.get("/v1/tasks", headers=bearer(made["key"])).status_code == 200
        assert client.get("/v1/keys", headers=admin).json()["keys"][0]["person"] == "anna"
        assert_problem(client.get("/v1/tasks", headers={"X-Regrade-Annotator": "anna"}), 401)
        assert client.get("/livez", headers={"Host": "elsewhere.example"}).status_code == 200


# With keys


def test_a_good_key_comes_in_from_anywhere(server: Server, keyed: KeyedHome) -> None:
    secret = keyed.secrets["app"]
    with server.client() as client:
        for headers in ({"Host": "api.example.com"}, {"Origin": "https://app.example.com"}, {"X-Forwarded-For": "::1"}):
            reply = client.post(PREDICT, json={"text": "parcel"}, headers={**bearer(secret), **headers})
            assert reply.status_code == 200
            assert "access-control-allow-origin" not in reply.headers
        assert client.get("/v1/tasks", headers={"Authorization": f"bearer   {secret}"}).status_code == 200


def test_bad_keys_are_told_nothing(server: Server, keyed: KeyedHome) -> None:
    good = keyed.secrets["admin"]
    headers: list[dict[str, str] | dict[bytes, bytes]] = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": good},
        {"Authorization": f"Basic {good}"},
        {"Authorization": f"Token {good}"},
        {b"Authorization": b"Bearer \xff\xfe"},
        bearer(good[:-1]),
        bearer(good + "x"),
        bearer(good.upper()),
        bearer(keyed.keys["admin"].id),
        bearer("' OR '1'='1"),
        bearer(keyed.secrets["expired"]),
        bearer(keyed.secrets["revoked"]),
    ]
    bodies = set()
    with server.client() as client:
        for given in headers:
            for path in ("/v1/tasks", "/v1/keys"):
                reply = client.get(path, headers=given)
                assert_problem(reply, 401)
                assert reply.headers["www-authenticate"] == "Bearer"
                bodies.add(reply.content)
    assert len(bodies) == 1, "what is wrong with a key is not told"
    assert {entry.actor for entry in refusals(server) if entry.details["status"] == 401} == {"expired", "revoked"}


def test_who_is_refused_is_written_down_once_a_minute(server: Server, keyed: KeyedHome) -> None:
    headers = bearer(keyed.secrets["annotator"])
    with server.client() as client:  # one connection, and so one worker
        before = len(list_keys(store_of(server)))
        for _ in range(5):
            reply = client.post("/v1/keys", json={"person": "me", "role": "admin"}, headers=headers)
            assert_problem(reply, 403, "annotator")
        assert_problem(client.delete(f"/v1/keys/{keyed.keys['admin'].id}", headers=headers), 403)
        assert client.get("/v1/keys", headers=bearer(keyed.secrets["admin"])).status_code == 200
    assert len(list_keys(store_of(server))) == before
    noted = [entry for entry in refusals(server) if entry.actor == "annotator"]
    places = [(entry.object, entry.details["method"], entry.details["status"]) for entry in noted]
    assert sorted(places) == [("/v1/keys", "POST", 403), ("/v1/keys/{id}", "DELETE", 403)]
    assert noted[0].details["key_id"] == keyed.keys["annotator"].id


def test_an_ungranted_task_is_as_one_that_does_not_exist(server: Server, keyed: KeyedHome) -> None:
    headers = bearer(keyed.secrets["reviewer elsewhere"])
    with server.client() as client:
        assert client.get("/v1/tasks", headers=headers).json() == {"tasks": []}
        known = client.post(PREDICT, json={"text": "a"}, headers=headers)
        unknown = client.post(PREDICT.replace("tiny-intent", "no-such"), json={"text": "a"}, headers=headers)
        assert_problem(known, 404, "this service has: none")
        assert known.json()["detail"].replace("tiny-intent", "no-such") == unknown.json()["detail"]
        by_bentoml = client.post("/predict", json={"task": "tiny-intent", "text": "a"}, headers=headers)
        assert_problem(by_bentoml, 404, "this service has: none")
        assert client.get("/v1/models/tiny-intent", headers=headers).status_code == 404
    noted = {entry.object for entry in refusals(server) if entry.actor == "reviewer elsewhere"}
    assert noted == {"/v1/tasks/{task}/predict", "/predict", "/v1/models/{task}"}


def test_the_bentoml_door_takes_the_same_keys(server: Server, keyed: KeyedHome) -> None:
    body = {"task": "tiny-intent", "text": "parcel"}
    with server.client() as client:
        assert_problem(client.post("/predict", json=body), 401)
        assert_problem(client.post("/predict", json=body, headers=bearer(keyed.secrets["annotator"])), 403)
        assert client.post("/predict", json=body, headers=bearer(keyed.secrets["app"])).status_code == 200


def test_what_needs_no_key(server: Server) -> None:
    with server.client() as client:
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
            assert client.get(path, headers={"Host": "api.example.com"}).status_code == 200


def test_the_audit_log_is_sealed_by_itself(server: Server) -> None:
    store = store_of(server)
    wait_until(lambda: head(store).seal > 0, 60)
    assert verify(store, head(store)) == []
    store.close()


def test_a_head_has_no_body(server: Server, keyed: KeyedHome) -> None:
    with server.client() as client:
        headers = bearer(keyed.secrets["admin"])
        whole, bare = client.get("/v1/keys", headers=headers), client.head("/v1/keys", headers=headers)
        assert bare.status_code == 200
        assert bare.content == b""
        assert bare.headers["content-length"] == str(len(whole.content))
        assert client.head("/v1/keys").status_code == 401


def test_a_key_is_made_used_and_revoked_over_http(server: Server, keyed: KeyedHome) -> None:
    admin = bearer(keyed.secrets["admin"])
    body = {"person": "zoë", "role": "app", "tasks": ["tiny-intent"], "note": "shop", "expires_at": _tomorrow()}
    with server.client() as client:
        reply = client.post("/v1/keys", json=body, headers=admin)
        assert reply.status_code == 201, reply.text
        made = reply.json()
        secret = made.pop("key")
        assert (made["person"], made["role"], made["tasks"], made["created_by"]) == (
            "zoë",
            "app",
            ["tiny-intent"],
            "admin",
        )
        listed = client.get("/v1/keys", headers=admin)
        assert made in listed.json()["keys"]
        assert secret not in listed.text

        def works() -> bool:
            with server.client() as other:
                return other.post(PREDICT, json={"text": "a"}, headers=bearer(secret)).status_code == 200

        assert all(works() for _ in range(6)), "a new key works at once, whichever worker it meets"
        revoked = client.delete(f"/v1/keys/{made['id']}", headers=admin)
        assert (revoked.status_code, revoked.content) == (204, b"")
        assert "content-type" not in revoked.headers
        wait_until(lambda: not any(works() for _ in range(6)), 10)
        assert client.delete(f"/v1/keys/{made['id']}", headers=admin).status_code == 204
        assert_problem(client.delete(f"/v1/keys/{uuid.uuid4()}", headers=admin), 404)
        entries = client.get("/v1/audit", params={"limit": 1000}, headers=admin).json()["entries"]
    done = [entry for entry in entries if entry["object"] == made["id"]]
    assert [(entry["action"], entry["actor"]) for entry in done] == [("keys.create", "admin"), ("keys.revoke", "admin")]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "person"),
        ({"person": "a"}, "role"),
        ({"person": "a", "role": "owner"}, "role"),
        ({"person": "", "role": "app"}, "person"),
        ({"person": "a\x00", "role": "app"}, "person"),
        ({"person": "a\u202e", "role": "app"}, "person"),
        ({"person": "x" * 201, "role": "app"}, "person"),
        ({"person": "a", "role": "app", "tasks": []}, "tasks"),
        ({"person": "a", "role": "app", "tasks": ["no-such"]}, "tasks"),
        ({"person": "a", "role": "app", "tasks": "tiny-intent"}, "tasks"),
        ({"person": "a", "role": "app", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"person": "a", "role": "app", "expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"person": "a", "role": "app", "expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at"),
        ({"person": "a", "role": "app", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"person": "a", "role": "app", "expires_at": 4102444800}, "expires_at"),
        ({"person": "a", "role": "app", "note": "x" * 201}, "note"),
        ({"person": "a", "role": "app", "admin": True}, "admin"),
    ],
)
def test_a_wrong_key_request_is_explained(server: Server, keyed: KeyedHome, body: dict[str, Any], word: str) -> None:
    with server.client() as client:
        reply = client.post("/v1/keys", json=body, headers=bearer(keyed.secrets["admin"]))
    assert_problem(reply, 422)
    assert word in json.dumps(reply.json()["errors"])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "after=-1", "more=1", "limit=1&limit=2", "a=%FF"]
)
def test_a_wrong_query_is_explained(server: Server, keyed: KeyedHome, query: str) -> None:
    with server.client() as client:
        assert_problem(client.get(f"/v1/audit?{query}", headers=bearer(keyed.secrets["admin"])), 422)


# Idempotency-Key


def test_a_repeated_request_is_answered_once_and_only_to_its_caller(server: Server, keyed: KeyedHome) -> None:
    once = {"Idempotency-Key": f"k-{uuid.uuid4()}"}
    app, admin = bearer(keyed.secrets["app"]) | once, bearer(keyed.secrets["admin"]) | once
    with server.client() as client:
        first = client.post(PREDICT, json={"text": "parcel"}, headers=app)
        assert client.post(PREDICT, json={"text": "parcel"}, headers=app).content == first.content
        assert client.post(PREDICT, json={"text": "parcel"}, headers=admin).content != first.content
        assert_problem(client.post(PREDICT, json={"text": "refund"}, headers=app), 409, "another body")
    noted = [entry for entry in refusals(server) if entry.details["status"] == 409]
    assert [(entry.actor, entry.object) for entry in noted] == [("app", "/v1/tasks/{task}/predict")]


def test_a_key_is_shown_once_even_where_the_request_is_repeated(server: Server, keyed: KeyedHome) -> None:
    headers = bearer(keyed.secrets["admin"]) | {"Idempotency-Key": f"k-{uuid.uuid4()}"}
    body = {"person": "repeated", "role": "app"}
    with server.client() as client:
        first = client.post("/v1/keys", json=body, headers=headers)
        again = client.post("/v1/keys", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() | {"key": None}
    secret = first.json()["key"].encode()
    assert not [path for path in server.home.glob("*.sqlite3*") if secret in path.read_bytes()]
    store = store_of(server)
    assert len([key for key in list_keys(store) if key.person == "repeated"]) == 1
    store.close()


# Guessing


def test_guessing_is_slowed_down_and_good_keys_go_on(server: Server, keyed: KeyedHome) -> None:
    with server.client("127.0.0.9") as client:  # one connection, and so one worker
        statuses: list[int] = []
        while 429 not in statuses and len(statuses) < 2 * WRONG_KEYS_A_MINUTE:  # a minute may end in between
            statuses.append(client.get("/v1/tasks", headers=bearer(f"rg_{uuid.uuid4()}")).status_code)
        refused = client.get("/v1/tasks", headers=bearer("rg_another"))
        assert_problem(refused, 429, "wrong keys")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/v1/tasks", headers=bearer(keyed.secrets["app"])).status_code == 200
        assert client.get("/v1/tasks").status_code == 401
    assert statuses[-1] == 429
    assert statuses.count(401) >= WRONG_KEYS_A_MINUTE


# While the store is away


def _asked(secret: str, address: str = "203.0.113.1") -> Incoming:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody reads the body")

    return Incoming({"client": (address, 1)}, receive, {b"authorization": f"Bearer {secret}".encode()})


def test_known_keys_go_on_while_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "store.sqlite3"
    store = open_store(f"sqlite:///{file}")
    key, secret = create_key(store, MAKER, person="anna", role="app")
    callers = Callers(store, AdminKey(tmp_path))
    assert not callers.is_open, "nobody comes in before the keys were looked at"
    callers.refresh()
    admin = (tmp_path / "admin.key").read_text().strip()
    _take_away(store, file)
    with pytest.raises(UnavailableError):
        callers.refresh()
    assert asyncio.run(callers.find(_asked(secret))) == key.caller
    assert asyncio.run(callers.find(_asked(admin))).role == "admin"
    with pytest.raises(UnavailableError, match="cannot be looked up"):
        asyncio.run(callers.find(_asked("rg_unknown")))
    monkeypatch.setattr(callers_module, "OUTLIVES_STORE_S", 0.0)
    with pytest.raises(UnavailableError):
        asyncio.run(callers.find(_asked(secret)))


def _take_away(store: Store, file: Path) -> None:
    store.close()
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    file.mkdir()


def test_the_last_use_of_a_key_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    _, secret = create_key(store, MAKER, person="anna", role="app")
    create_key(store, MAKER, person="ben", role="app")
    callers = Callers(store, AdminKey(tmp_path))
    callers.refresh()
    asyncio.run(callers.find(_asked(secret)))
    callers.refresh()
    assert {key.last_used_at for key in list_keys(store)} == {None}, "not a write a request"
    monkeypatch.setattr(callers_module, "_TOUCH_S", 0.0)
    callers.refresh()
    used, unused = list_keys(store)
    assert used.last_used_at is not None
    assert unused.last_used_at is None


def test_each_address_has_its_own_tries(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    create_key(store, MAKER, person="anna", role="app")
    callers = Callers(store, AdminKey(tmp_path))
    callers.refresh()
    for _ in range(WRONG_KEYS_A_MINUTE):
        with pytest.raises(UnauthenticatedError):
            asyncio.run(callers.find(_asked("rg_wrong")))
    with pytest.raises(OverloadedError):
        asyncio.run(callers.find(_asked("rg_wrong")))
    with pytest.raises(UnauthenticatedError):
        asyncio.run(callers.find(_asked("rg_wrong", "203.0.113.2")))


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()
