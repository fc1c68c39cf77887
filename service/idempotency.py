"""`Idempotency-Key`: a request sent again is answered with the first reply, not done again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from core.errors import Fault, InvalidError, UnavailableError
from core.roles import Caller
from feedback.replies import KeptReply, give_up, keep_reply, reserve
from feedback.store import Store
from service.exchange import Incoming, Reply

logger = logging.getLogger("regrade.idempotency")

MAX_KEY = 255
"""Characters in a key at most."""


async def answered_once(
    store: Store, incoming: Incoming, key: bytes, work: Callable[[Incoming], Awaitable[Reply]]
) -> Reply:
    """Return what `work` returns, or what it returned the first time that this caller sent `key` with this request.

    Failed work frees its key.

    Raises:
        InvalidError: the key is empty, too long, or not printable ASCII.
        ReusedKeyError: the key came with another body before.
        AtWorkError: its first request is still at work.
        UnavailableError: the store is away, so that the promise could not be kept.
    """
    name = key.decode("latin-1")
    if not (0 < len(name) <= MAX_KEY and name.isascii() and name.isprintable()):
        raise InvalidError([Fault(("Idempotency-Key",), f"expected 1 to {MAX_KEY} printable ASCII characters")])
    body = hashlib.sha256(await incoming.body()).hexdigest()
    reservation = await asyncio.to_thread(reserve, store, _scope(incoming), name, body)
    if reservation.reply is not None:
        return Reply(reservation.reply.status, reservation.reply.body)
    try:
        reply = await work(incoming)
    except BaseException:
        await asyncio.to_thread(give_up, store, reservation)
        raise
    try:
        kept = KeptReply(reply.status, reply.body if reply.kept is None else reply.kept)
        await asyncio.to_thread(keep_reply, store, reservation, kept)
    except UnavailableError as error:  # the work is done: its answer is worth more than the promise about a repeat
        logger.warning("a reply could not be kept for its Idempotency-Key: %s", error)
    return reply


def _scope(incoming: Incoming) -> str:
    """Return what a key counts within: a caller's key (or person, in open mode), the method, and the path."""
    who = _who(incoming.caller)
    place = f"{incoming.scope['method']} {incoming.scope['path']}"
    return hashlib.sha256(f"{who}\n{place}".encode()).hexdigest()


def _who(caller: Caller) -> str:
    return f"key {caller.key_id}" if caller.key_id else f"person {caller.person}"
