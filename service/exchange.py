"""One HTTP exchange as the front's handlers see it: what came in, and what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.errors import CallerGoneError, MalformedError, TooLargeError
from core.roles import Caller
from feedback.sessions import Session
from service.problems import PROBLEM, Headers
from service.requests import MAX_BODY

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"

NOBODY = Caller("", "app", tasks=frozenset())
"""The caller before anybody has looked at the key."""

_BODY_TIMEOUT_S = 10.0
"""Seconds in which a body must arrive: a caller that stops in the middle holds nothing for longer."""


@dataclass(slots=True)
class Incoming:
    """A request: its `scope`, lower-case `headers`, and the path's `parameters`."""

    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    parameters: dict[str, str] = field(default_factory=dict)
    caller: Caller = NOBODY
    version: str = ""
    """The model version that answers, once it is known."""
    session: Session | None = None
    csrf: str = ""
    """The session that the caller was known by, if it was one, and what its pages repeat with every change."""
    _body: bytes | None = None

    def is_gone(self) -> bool:
        """Tell whether the caller has disconnected.

        ASGI tells it only to those who wait for it, and a waiting task a request costs more than all of the front.
        Uvicorn's receive is a method of the exchange, which knows; behind another server the answer is always no.
        """
        return bool(getattr(getattr(self.receive, "__self__", None), "disconnected", False))

    @property
    def wants_head(self) -> bool:
        """Whether the caller asked for the head of the reply alone."""
        return bool(self.scope["method"] == "HEAD")

    async def body(self) -> bytes:
        """Return the whole body; it is read once and kept.

        Raises:
            TooLargeError: it is over `MAX_BODY`, by its declared or its real length.
            MalformedError: the rest of it did not come in time.
            CallerGoneError: the caller disconnected before the end.
        """
        if self._body is None:
            self._body = await self._read()
        return self._body

    async def _read(self) -> bytes:
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > MAX_BODY:
            raise TooLargeError(
                f"the body has {int(declared):,} bytes; expected at most {MAX_BODY:,}: send fewer texts"
            )
        parts = bytearray()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while (message := await self.receive())["type"] == "http.request":
                    parts += message.get("body", b"")
                    if len(parts) > MAX_BODY:
                        raise TooLargeError(f"the body is over {MAX_BODY:,} bytes; send fewer texts at once")
                    if not message.get("more_body", False):
                        return bytes(parts)
        except TimeoutError as error:
            expected = self.headers.get(b"content-length", b"more").decode("latin-1")
            raise MalformedError(f"the body stopped after {len(parts):,} bytes; expected {expected}") from error
        raise CallerGoneError


@dataclass(slots=True)
class Reply:
    """What goes out: a whole body and its media type; with status 204 there is neither.

    `kept` is remembered for an `Idempotency-Key` in place of the body, where that holds what is shown only once.
    """

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: Headers = field(default_factory=list)
    kept: bytes | None = None

    async def send(self, send: Send, incoming: Incoming) -> None:
        """Send it through ASGI, without its body where `incoming` asked for the head alone."""
        headers = self.headers
        if self.status != 204:
            length = str(len(self.body)).encode()
            headers = [(b"content-type", self.media_type), (b"content-length", length), *headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if incoming.wants_head else self.body})


class StreamedReply(Reply):
    """What goes out piece by piece, for bodies too large to hold; status 200."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], media_type: bytes, headers: Headers | None = None) -> None:
        """Send what `chunks` gives, as it comes; an error in it cuts the reply short, which clients notice."""
        super().__init__(200, b"", media_type, headers or [])
        self.chunks = chunks

    async def send(self, send: Send, incoming: Incoming) -> None:
        """Send it through ASGI until it ends or the caller has gone."""
        headers = [(b"content-type", self.media_type), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if not incoming.wants_head:
            async with aclosing(self.chunks):
                async for chunk in self.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    if incoming.is_gone():
                        return
        await send({"type": "http.response.body", "body": b""})


def json_reply(content: object, status: int = 200) -> Reply:
    """Return `content` as JSON."""
    return Reply(status, orjson.dumps(content))


def empty_reply() -> Reply:
    """Return the reply that says done, and nothing else (204)."""
    return Reply(204, b"")


def problem_reply(status: int, body: bytes, headers: Headers) -> Reply:
    """Return a problem as problem+json."""
    return Reply(status, body, PROBLEM, headers)
