"""`Idempotency-Key`: a request sent again is answered with the first reply, not done again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from core.errors import Fault, InvalidError
from feedback.replies import give_up, keep_reply, reserve
from feedback.store import Store

MAX_KEY = 255
"""Characters in a key at most."""


async def answered_once(
    store: Store, scope: str, key: bytes | None, body: bytes, work: Callable[[], Awaitable[bytes]]
) -> bytes:
    """Return what `work` returns, or what it returned the first time that `key` came within `scope` with this body.

    Without a key there is nothing to remember. Failed work frees its key.

    Raises:
        InvalidError: the key is empty, too long, or not printable ASCII.
        ConflictError: the key came with another body before, or its first request is still at work.
        UnavailableError: the store is away, so that the promise could not be kept.
    """
    if key is None:
        return await work()
    name = key.decode("latin-1")
    if not (0 < len(name) <= MAX_KEY and name.isascii() and name.isprintable()):
        raise InvalidError([Fault(("Idempotency-Key",), f"expected 1 to {MAX_KEY} printable ASCII characters")])
    reservation = await asyncio.to_thread(reserve, store, scope, name, hashlib.sha256(body).hexdigest())
    if reservation.reply is not None:
        return reservation.reply
    try:
        reply = await work()
    except BaseException:
        await asyncio.to_thread(give_up, store, reservation)
        raise
    await asyncio.to_thread(keep_reply, store, reservation, reply)
    return reply
