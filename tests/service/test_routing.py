"""Finding endpoints, counting what may happen only so often, and replies in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingError
from feedback.keys import hash_secret
from service.admin_key import AdminKey
from service.exchange import Incoming, Reply, StreamedReply, empty_reply, json_reply
from service.routing import Endpoint, Route, Router
from service.throttle import Throttle


async def answer(_: Incoming) -> Reply:
    return json_reply({})


def endpoint() -> Endpoint:
    return Endpoint(answer)


ITEM, CLAIM, LIST = endpoint(), endpoint(), endpoint()
ROUTER = Router(
    [
        Route("/v1/queue/{task}/claim", {"POST": CLAIM}),
        Route("/v1/queue/items/{id}", {"GET": ITEM}),
        Route("/v1/list", {"GET": LIST}),
        Route("/v1/a.b", {"GET": endpoint()}),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "wanted", "parameters"),
    [
        ("POST", "/v1/queue/shop/claim", CLAIM, {"task": "shop"}),
        ("GET", "/v1/queue/items/17", ITEM, {"id": "17"}),
        ("HEAD", "/v1/queue/items/17", ITEM, {"id": "17"}),
        ("GET", "/v1/queue/items/claim", ITEM, {"id": "claim"}),
        ("POST", "/v1/queue/items/claim", CLAIM, {"task": "items"}),
        ("GET", "/v1/list", LIST, {}),
        ("DELETE", "/v1/list", None, {}),
        ("GET", "/v1/queue/shop/claim", None, {"task": "shop"}),
        ("POST", "/v1/queue/items/17", None, {"id": "17"}),
    ],
)
def test_a_path_and_method_lead_to_their_endpoint(
    method: str, path: str, wanted: Endpoint | None, parameters: dict[str, str]
) -> None:
    found = ROUTER.find(path, method)
    assert found is not None
    assert found.endpoint is wanted
    assert found.parameters == parameters


@pytest.mark.parametrize(
    "path", ["", "/", "/v1/queue//claim", "/v1/queue/a/b/claim", "/v1/queue/shop/claim/", "/v1/axb", "/v1/list/"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert ROUTER.find(path, "POST") is None


def test_a_name_has_so_many_events_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("service.throttle.time.monotonic", lambda: clock[0])
    throttle = Throttle(2, seconds=60)
    assert [throttle.take("a") for _ in range(4)] == [True, True, False, False]
    assert throttle.take("b")
    assert (throttle.is_full("a"), throttle.is_full("b")) == (True, False)
    clock[0] += 59.5
    assert throttle.left_s == 1
    assert not throttle.take("a")
    clock[0] += 1
    assert throttle.take("a")
    assert throttle.left_s == 60


def test_a_flood_of_names_costs_no_memory() -> None:
    throttle = Throttle(1)
    taken = sum(throttle.take(f"name {number}") for number in range(20_000))
    assert taken == 10_000


def _sent(reply: Reply, method: str = "GET", leaves_after: int = 99) -> list[MutableMapping[str, Any]]:
    """Return the messages that a reply sends to a caller who goes after `leaves_after` of them."""
    messages: list[MutableMapping[str, Any]] = []

    class Exchange:
        @property
        def disconnected(self) -> bool:
            return len(messages) >= leaves_after

        async def receive(self) -> MutableMapping[str, Any]:
            raise AssertionError("nobody reads the body")

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    asyncio.run(reply.send(send, Incoming({"method": method}, Exchange().receive, {})))
    return messages


class Pieces:
    """Three pieces, which know whether they were closed."""

    def __init__(self) -> None:
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in (b"a", b"b", b"c"):
                yield piece
        finally:
            self.closed = True


def test_a_reply_in_pieces() -> None:
    pieces = Pieces()
    start, *bodies = _sent(StreamedReply(pieces.chunks(), b"text/csv", [(b"x", b"y")]))
    assert start["headers"] == [(b"content-type", b"text/csv"), (b"x", b"y")]
    assert b"".join(body["body"] for body in bodies) == b"abc"
    assert [body.get("more_body", False) for body in bodies] == [True, True, True, False]
    assert pieces.closed


def test_pieces_end_when_the_caller_has_gone() -> None:
    pieces = Pieces()
    assert len(_sent(StreamedReply(pieces.chunks(), b"text/csv"), leaves_after=2)) == 2
    assert pieces.closed


def test_a_head_and_an_empty_reply_have_no_body() -> None:
    start, body = _sent(json_reply({"a": 1}), method="HEAD")
    assert (b"content-length", b"7") in start["headers"]
    assert body["body"] == b""
    start, body = _sent(empty_reply())
    assert (start["status"], start["headers"], body["body"]) == (204, [], b"")
    assert [message["body"] for message in _sent(StreamedReply(Pieces().chunks(), b"x"), method="HEAD")[1:]] == [b""]


def test_of_many_that_start_at_once_one_makes_the_admin_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(AdminKey, [tmp_path] * 32))
    digest = hash_secret((tmp_path / "admin.key").read_text().strip())
    assert all(key.is_given(digest) for key in keys)
    assert not keys[0].is_given(hash_secret("another"))
    assert [path.name for path in tmp_path.iterdir()] == ["admin.key"]


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_an_admin_key_that_is_none_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "admin.key").write_bytes(content)
    with pytest.raises(SettingError, match="remove it"):
        AdminKey(tmp_path)
