"""One HTTP exchange as the front's handlers see it: what came in, and what goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.errors import CallerGoneError, MalformedError, TooLargeError
from core.roles import Caller
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
    _body: bytes | None = None

    def is_gone(self) -> bool:
        """Tell whether the caller has disconnected.

        ASGI tells it only to those who wait for it, and a waiting task a request costs more than all of the front.
        Uvicorn's receive is a method of the exchange, which knows; behind another server the answer is always no.
        """
        return bool(getattr(getattr(self.receive, "__self__", None), "disconnected", False))

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
    """What goes out: a whole body and its media type."""

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: Headers = field(default_factory=list)

    async def send(self, send: Send) -> None:
        """Send it through ASGI."""
        headers = [
            (b"content-type", self.media_type),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_reply(content: object, status: int = 200) -> Reply:
    """Return `content` as JSON."""
    return Reply(status, orjson.dumps(content))


def problem_reply(status: int, body: bytes, headers: Headers) -> Reply:
    """Return a problem as problem+json."""
    return Reply(status, body, PROBLEM, headers)
