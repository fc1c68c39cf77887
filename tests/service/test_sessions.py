"""Signing in with a key: the cookie, what it lets in, what it takes to change something, and how it ends."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from core.errors import UnauthenticatedError, UnavailableError
from core.settings import load_settings
from feedback.audit import Entry, list_entries
from feedback.keys import Key, create_key, hash_secret
from feedback.schema import sessions
from feedback.sessions import hash_session, start_session
from feedback.store import Store, open_store
from service import callers as callers_module
from service.admin_key import AdminKey
from service.callers import WRONG_KEYS_A_MINUTE, Callers
from service.exchange import Incoming
from tests.support.keys import MAKER, KeyedHome, bearer, make_keyed_home
from tests.support.server import Server, run_server, wait_until

CLAIM = "/v1/queue/tiny-intent/claim"
SIGN_IN = "/app/sign-in"
CSRF = re.compile(r'<meta name="regrade-csrf" content="([0-9a-f]{64})">')


@pytest.fixture(scope="module")
def keyed(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> KeyedHome:
    return make_keyed_home(tiny_home, tmp_path_factory.mktemp("keyed") / "home")


@pytest.fixture(scope="module")
def server(keyed: KeyedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, with keys, on an address that others can reach."""
    with run_server(keyed.home, tmp_path_factory.mktemp("server"), REGRADE_HOST="0.0.0.0") as running:
        yield running


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    opened = open_store(load_settings(home=server.home).store_url)
    yield opened
    opened.close()


@dataclass(frozen=True)
class Cookie:
    """A session's cookie, and what its pages repeat with every change."""

    name: str
    secret: str
    csrf: str

    @property
    def headers(self) -> dict[str, str]:
        """What a browser sends with it."""
        return {"Cookie": f"{self.name}={self.secret}"}

    @property
    def changing(self) -> dict[str, str]:
        """What our pages send with a change."""
        return {**self.headers, "X-Regrade-CSRF": self.csrf}


def post_form(server: Server, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
    """Send a form as a browser without scripts does."""
    with server.client() as client:
        return client.post(path, data=dict(fields), headers={"Origin": server.url, **headers})


def sign_in(server: Server, key: str, **headers: str) -> Cookie:
    reply = post_form(server, SIGN_IN, {"key": key, "next": "/app"}, **headers)
    assert (reply.status_code, reply.headers["location"]) == (303, "/app"), reply.text
    name, _, value = reply.headers["set-cookie"].partition(";")[0].partition("=")
    with server.client() as client:
        page = client.get("/app", headers={"Cookie": f"{name}={value}"})
    found = CSRF.search(page.text)
    assert found, page.text
    return Cookie(name, value, found[1])


def statuses(server: Server, cookie: Cookie, path: str = "/v1/tasks") -> set[int]:
    """Ask on many connections, so that every worker is asked."""
    found = set()
    for _ in range(10):
        with server.client() as client:
            found.add(client.get(path, headers=cookie.headers).status_code)
    return found


def entries(store: Store, action: str) -> list[Entry]:
    return [one for one in list_entries(store, limit=1000) if one.action == action]


# Coming in


def test_the_cookie_is_for_this_service_alone(server: Server, keyed: KeyedHome) -> None:
    reply = post_form(server, SIGN_IN, {"key": f"  {keyed.secrets['annotator']} ", "next": "/app/review/tiny-intent"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/app/review/tiny-intent")
    name, *flags = reply.headers["set-cookie"].split("; ")
    assert name.startswith(f"regrade_session_{server.port}=")
    assert set(flags) == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax"}
    assert reply.headers["cache-control"] == "no-store"


def test_elsewhere_the_cookie_needs_https(server: Server, keyed: KeyedHome) -> None:
    host = {"Host": "regrade.example.com", "Origin": "https://regrade.example.com"}
    reply = post_form(server, SIGN_IN, {"key": keyed.secrets["annotator"]}, **host)
    name, *flags = reply.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-regrade_session=")
    assert set(flags) == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax", "Secure"}
    with server.client() as client:
        known = client.get("/v1/tasks", headers={"Cookie": name, "Host": "regrade.example.com"})
        assert known.status_code == 200
        assert client.get("/v1/tasks", headers={"Cookie": name}).status_code == 401


def test_a_key_that_was_just_made_signs_in_whichever_workers_it_meets(server: Server, store: Store) -> None:
    for number in range(6):
        _, secret = create_key(store, MAKER, person=f"new {number}", role="annotator")
        assert statuses(server, sign_in(server, secret)) == {200}


@pytest.mark.parametrize("key", ["", "rg_wrong", "revoked", "expired"])
def test_a_wrong_key_is_refused_by_a_page(server: Server, keyed: KeyedHome, key: str) -> None:
    reply = post_form(server, SIGN_IN, {"key": keyed.secrets.get(key, key), "next": "/app/admin"})
    assert reply.status_code == 401
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert 'role="alert"' in reply.text
    assert 'name="next" value="/app/admin"' in reply.text
    assert "set-cookie" not in reply.headers
    assert keyed.secrets.get(key, "rg_wrong") not in reply.text


def test_whose_old_key_was_tried_is_written_down(server: Server, keyed: KeyedHome, store: Store) -> None:
    for key in ("revoked", "expired"):
        post_form(server, SIGN_IN, {"key": keyed.secrets[key]})
    noted = {(one.actor, one.details["status"]) for one in entries(store, "refused") if one.object == SIGN_IN}
    assert noted == {("revoked", 401), ("expired", 401)}


@pytest.mark.parametrize(
    "place",
    [
        "https://elsewhere.example/app",
        "//elsewhere.example/app",
        "/\\elsewhere.example",
        "/app\\..\\..\\elsewhere",
        "/app//elsewhere.example",
        "/application",
        "/v1/keys",
        "javascript:alert(1)",
        "/app/\r\nSet-Cookie: stolen=1",
        "/app/\u202egnp",
        "app",
        "",
    ],
)
def test_nobody_is_led_elsewhere(server: Server, keyed: KeyedHome, place: str) -> None:
    reply = post_form(server, SIGN_IN, {"key": keyed.secrets["app"], "next": place})
    assert (reply.status_code, reply.headers["location"]) == (303, "/app")
    assert len(reply.headers.get_list("set-cookie")) == 1
    with server.client() as client:
        page = client.get(SIGN_IN, params={"next": place})
    assert 'name="next" value="/app"' in page.text


def test_a_place_with_a_query_is_found_again(server: Server, keyed: KeyedHome) -> None:
    place = "/app/admin/audit?actor=%E7%8E%8B+a&action=keys.create"
    with server.client() as client:
        asked = client.get(place)
        assert asked.status_code == 303
        page = client.get(asked.headers["location"])
    assert f'value="{place.replace("&", "&amp;")}"' in page.text
    reply = post_form(server, SIGN_IN, {"key": keyed.secrets["admin"], "next": place})
    assert reply.headers["location"] == place


@pytest.mark.parametrize("path", [SIGN_IN, "/app/sign-out", "/app/language"])
def test_forms_of_other_sites_are_refused(server: Server, keyed: KeyedHome, path: str) -> None:
    fields = {"key": keyed.secrets["app"], "language": "zh"}
    foreign: list[dict[str, str]] = [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{server.port + 1}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    for headers in foreign:
        reply = post_form(server, path, fields, **headers)
        assert reply.status_code == 403, headers
        assert "set-cookie" not in reply.headers


def test_what_is_no_form_is_refused(server: Server) -> None:
    many = {f"field{number}": "x" for number in range(100)}
    assert post_form(server, SIGN_IN, many).status_code == 400
    assert post_form(server, "/app/language", {"language": "tlh"}).status_code == 422


# What the cookie lets in


def test_a_session_may_do_what_its_key_may(server: Server, keyed: KeyedHome) -> None:
    annotator, app = (sign_in(server, keyed.secrets[role]) for role in ("annotator", "app"))
    elsewhere = sign_in(server, keyed.secrets["reviewer elsewhere"])
    with server.client() as client:

        def status(path: str, cookie: Cookie) -> int:
            return client.get(path, headers=cookie.headers).status_code

        assert status("/v1/queue/tiny-intent/stats", annotator) == 200
        assert status("/v1/queue/tiny-intent/stats", app) == 403
        assert status("/v1/keys", annotator) == 403
        assert status("/app/admin/keys", annotator) == 403
        assert status("/v1/models/tiny-intent", elsewhere) == 404
        assert client.get("/v1/tasks", headers=elsewhere.headers).json() == {"tasks": []}
        page = client.get("/app/admin", headers=annotator.headers)
        assert page.headers["content-type"] == "text/html; charset=utf-8"


def test_a_change_needs_what_only_our_pages_know(server: Server, keyed: KeyedHome) -> None:
    cookie, other = (sign_in(server, keyed.secrets["annotator"]) for _ in range(2))
    assert cookie.csrf != other.csrf
    assert cookie.secret not in cookie.csrf
    forged: list[dict[str, str]] = [
        cookie.headers,
        {**cookie.headers, "X-Regrade-CSRF": ""},
        {**cookie.headers, "X-Regrade-CSRF": other.csrf},
        {**cookie.headers, "X-Regrade-CSRF": cookie.csrf[:-1]},
        {**cookie.headers, "X-Regrade-CSRF": cookie.secret},
    ]
    with server.client() as client:
        for headers in forged:
            reply = client.post(CLAIM, json={}, headers=headers)
            assert reply.status_code == 403, headers
            assert "X-Regrade-CSRF" in reply.json()["detail"]
        assert client.post(CLAIM, json={}, headers=cookie.changing).status_code == 200
        assert client.get("/v1/tasks", headers=cookie.headers).status_code == 200
        key = bearer(keyed.secrets["annotator"])
        assert client.post(CLAIM, json={}, headers=key).status_code == 200
        assert client.post(CLAIM, json={}, headers={**key, **cookie.headers}).status_code == 200
        wrong = {**bearer("rg_wrong"), **cookie.changing}
        assert client.get("/v1/tasks", headers=wrong).status_code == 401


def test_pages_hold_no_secret(server: Server, keyed: KeyedHome) -> None:
    cookie = sign_in(server, keyed.secrets["admin"])
    with server.client() as client:
        for path in ("/app", "/app/admin", "/app/admin/keys", "/app/admin/settings", "/app/admin/audit"):
            page = client.get(path, headers=cookie.headers)
            assert page.status_code == 200
            assert page.headers["cache-control"] == "no-store"
            assert cookie.secret not in page.text
            for secret in keyed.secrets.values():
                assert secret not in page.text
                assert hash_secret(secret) not in page.text


# How it ends


def test_whoever_signs_out_is_out_everywhere(server: Server, keyed: KeyedHome, store: Store) -> None:
    cookie, stays = (sign_in(server, keyed.secrets["reviewer"]) for _ in range(2))
    assert statuses(server, cookie) == {200}
    reply = post_form(server, "/app/sign-out", {}, **cookie.headers)
    assert (reply.status_code, reply.headers["location"]) == (303, SIGN_IN)
    assert reply.headers["set-cookie"].startswith(f"{cookie.name}=; Path=/; Max-Age=0;")
    wait_until(lambda: statuses(server, cookie) == {401}, 10)
    assert statuses(server, stays) == {200}
    before = len(entries(store, "session.ended"))
    assert post_form(server, "/app/sign-out", {}, **cookie.headers).status_code == 303
    assert len(entries(store, "session.ended")) == before, "it had ended before"


def test_a_revoked_key_ends_its_sessions(server: Server, keyed: KeyedHome, store: Store) -> None:
    key, secret = create_key(store, MAKER, person="leaving", role="annotator")
    cookie = sign_in(server, secret)
    assert statuses(server, cookie) == {200}
    with server.client() as client:
        assert client.delete(f"/v1/keys/{key.id}", headers=bearer(keyed.secrets["admin"])).status_code == 204
    wait_until(lambda: statuses(server, cookie) == {401}, 10)


def test_a_session_expires(server: Server, keyed: KeyedHome, store: Store) -> None:
    cookie = sign_in(server, keyed.secrets["reviewer"])
    with store.write() as connection:
        mine = sessions.c.sha256 == hash_session(cookie.secret)
        past = datetime.now(UTC) - timedelta(seconds=1)
        assert connection.execute(update(sessions).where(mine).values(expires_at=past)).rowcount == 1
    wait_until(lambda: statuses(server, cookie) == {401}, 10)
    with server.client() as client:
        page = client.get("/app/admin/keys?show=all", headers=cookie.headers)
        assert page.headers["location"] == f"{SIGN_IN}?next=%2Fapp%2Fadmin%2Fkeys%3Fshow%3Dall"
        assert page.headers["set-cookie"].startswith(f"{cookie.name}=; Path=/; Max-Age=0;"), "it is of no use any more"
        reply = client.post(CLAIM, json={}, headers=cookie.changing)
        assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")


def test_sessions_are_in_the_audit_log_and_secrets_nowhere(server: Server, keyed: KeyedHome, store: Store) -> None:
    cookie = sign_in(server, keyed.secrets["reviewer"])
    post_form(server, "/app/sign-out", {}, **cookie.headers)
    started = entries(store, "session.started")[-1]
    ended = entries(store, "session.ended")[-1]
    key = keyed.keys["reviewer"]
    assert (started.actor, started.role, started.object) == ("reviewer", "reviewer", key.id)
    assert set(started.details) == {"expires_at"}
    assert (ended.actor, ended.object, ended.details) == ("reviewer", key.id, {})
    written = [path.read_bytes() for path in (server.log, *server.home.glob("*.sqlite3*"))]
    for secret in (cookie.secret, cookie.csrf, keyed.secrets["reviewer"]):
        assert not any(secret.encode() in content for content in written)


# Open mode


def test_in_open_mode_the_admin_key_signs_in_and_other_cookies_are_no_obstacle(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path) as server, server.client() as client:
        stale = {"Cookie": f"regrade_session_{server.port}={uuid.uuid4().hex}"}
        for _ in range(WRONG_KEYS_A_MINUTE + 5):
            assert client.get("/v1/tasks", headers=stale).status_code == 200
        assert client.get("/app/admin/keys", headers=stale).status_code == 200
        assert client.post("/v1/keys", json={"person": "a", "role": "admin"}, headers=stale).status_code == 401

        cookie = sign_in(server, (server.home / "admin.key").read_text().strip())
        body = {"person": "anna", "role": "admin"}
        assert client.post("/v1/keys", json=body, headers=cookie.headers).status_code == 403
        made = client.post("/v1/keys", json=body, headers=cookie.changing)
        assert made.status_code == 201
        wait_until(lambda: statuses(server, replace(cookie, secret="none")) == {401}, 10)
        assert statuses(server, cookie) == {200}, "the session goes on when open mode ends"
        assert statuses(server, sign_in(server, made.json()["key"]), "/v1/keys") == {200}


# Guessing


def test_guessing_is_slowed_down_and_good_keys_sign_in(server: Server, keyed: KeyedHome) -> None:
    address, origin = "127.0.0.8", {"Origin": server.url}
    with server.client(address) as client:  # one connection, and so one worker
        replies: list[httpx.Response] = []
        while not replies or (replies[-1].status_code == 401 and len(replies) < 2 * WRONG_KEYS_A_MINUTE):
            replies.append(client.post(SIGN_IN, data={"key": f"rg_{uuid.uuid4()}"}, headers=origin))
        refused = replies[-1]
        assert refused.status_code == 429
        assert len(replies) > WRONG_KEYS_A_MINUTE
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert 'role="alert"' in refused.text
        good = client.post(SIGN_IN, data={"key": keyed.secrets["app"]}, headers=origin)
        assert good.status_code == 303
    cookie = good.headers["set-cookie"].partition(";")[0]
    for _ in range(10):  # any worker, though the address has used up its tries
        with server.client(address) as client:
            assert client.get("/v1/tasks", headers={"Cookie": cookie}).status_code == 200


# One worker, and its store


def asked(secret: str, method: str = "GET", csrf: str = "") -> Incoming:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody reads the body")

    headers = {b"host": b"127.0.0.1:3000", b"cookie": f"regrade_session_3000={secret}".encode()}
    scope = {"client": ("203.0.113.1", 1), "method": method}
    return Incoming(scope, receive, headers | ({b"x-regrade-csrf": csrf.encode()} if csrf else {}))


@dataclass(frozen=True)
class One:
    """A worker's callers, with one person who has signed in."""

    file: Path
    store: Store
    callers: Callers
    key: Key
    secret: str


def one_worker(folder: Path) -> One:
    folder.mkdir()
    file = folder / "store.sqlite3"
    store = open_store(f"sqlite:///{file}")
    key, secret = create_key(store, MAKER, person="anna", role="annotator")
    callers = Callers(store, AdminKey(folder))
    callers.refresh()
    _, cookie = start_session(store, key.caller, hash_secret(secret), 12)
    return One(file, store, callers, key, cookie)


def test_a_cookie_of_another_install_is_of_no_use(tmp_path: Path) -> None:
    here, there = one_worker(tmp_path / "here"), one_worker(tmp_path / "there")
    assert asyncio.run(here.callers.find(asked(here.secret))) == here.key.caller
    with pytest.raises(UnauthenticatedError):
        asyncio.run(here.callers.find(asked(there.secret)))


def test_those_who_signed_in_go_on_while_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = one_worker(tmp_path / "home")
    _, unseen = start_session(one.store, one.key.caller, hash_secret("another"), 12)
    asyncio.run(one.callers.find(asked(one.secret)))
    one.store.close()
    for path in one.file.parent.glob(f"{one.file.name}*"):
        path.unlink()
    one.file.mkdir()
    with pytest.raises(UnavailableError):
        one.callers.refresh()
    assert asyncio.run(one.callers.find(asked(one.secret))) == one.key.caller
    with pytest.raises(UnavailableError):
        asyncio.run(one.callers.find(asked(unseen)))
    monkeypatch.setattr(callers_module, "OUTLIVES_STORE_S", 0.0)
    with pytest.raises(UnavailableError):
        asyncio.run(one.callers.find(asked(one.secret)))


def test_dead_cookies_are_refused_and_use_up_nobodys_tries(tmp_path: Path) -> None:
    one = one_worker(tmp_path / "home")
    _, orphan = start_session(one.store, one.key.caller, hash_secret("no key has this secret"), 12)
    _, late = start_session(one.store, one.key.caller, hash_secret("no key has this secret"), 0)
    for secret in (orphan, late, "rg_strange", ""):
        for _ in range(WRONG_KEYS_A_MINUTE):
            with pytest.raises(UnauthenticatedError):
                asyncio.run(one.callers.find(asked(secret)))
    new, secret = create_key(one.store, MAKER, person="ben", role="app")
    assert asyncio.run(one.callers.holder(secret, asked(orphan))) == new.caller
