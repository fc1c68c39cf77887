"""`Idempotency-Key`: a request sent again is answered with the first reply, not done again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from core.errors import Fault, InvalidError, UnavailableError
from feedback.replies import give_up, keep_reply, reserve
from feedback.store import Store

logger = logging.getLogger("regrade.idempotency")

MAX_KEY = 255
"""Characters in a key at most."""


async def answered_once(
    store: Store, scope: str, key: bytes, body: bytes, work: Callable[[], Awaitable[bytes]]
) -> bytes:
    """Return what `work` returns, or what it returned the first time that `key` came within `scope` with this body.

    Failed work frees its key.

    Raises:
        InvalidError: the key is empty, too long, or not printable ASCII.
        ConflictError: the key came with another body before, or its first request is still at work.
        UnavailableError: the store is away, so that the promise could not be kept.
    """
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
    try:
        await asyncio.to_thread(keep_reply, store, reservation, reply)
    except UnavailableError as error:  # the work is done: its answer is worth more than the promise about a repeat
        logger.warning("a reply could not be kept for its Idempotency-Key: %s", error)
    return reply
