"""Idempotency keys: the same request sent twice is done once and answered the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, select, update

from core.errors import AtWorkError, ReusedKeyError
from core.ids import new_id
from feedback.schema import replies
from feedback.store import Store

KEPT_FOR = timedelta(hours=24)
"""How long a key is remembered."""

ABANDONED_AFTER = timedelta(seconds=60)
"""Age at which a reservation without a reply counts as left behind by a worker that died."""


@dataclass(frozen=True)
class KeptReply:
    """What was answered: HTTP status and body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Reservation:
    """A key taken for one request. `reply` is what was answered before, or None when this request is the first."""

    scope: str
    key: str
    token: str
    reply: KeptReply | None


def reserve(store: Store, scope: str, key: str, request_sha256: str) -> Reservation:
    """Take `key` within `scope` for the request whose body hashes to `request_sha256`.

    Raises:
        ReusedKeyError: the key was used with another body.
        AtWorkError: its first request is still at work.
    """
    now = datetime.now(UTC)
    with store.write() as connection:
        store.lock(connection, f"reply {scope} {key}")
        # Of this key only: looking for all that are over would cost more with every reply that is kept.
        mine = and_(replies.c.scope == scope, replies.c.key == key)
        stale = replies.c.created_at < now - KEPT_FOR
        abandoned = and_(replies.c.reply.is_(None), replies.c.created_at < now - ABANDONED_AFTER)
        connection.execute(delete(replies).where(mine, stale | abandoned))
        row = connection.execute(select(replies).where(mine)).first()
        if row is None:
            token = new_id()
            taken = {"scope": scope, "key": key, "token": token, "request_sha256": request_sha256, "created_at": now}
            connection.execute(replies.insert().values(taken))
            return Reservation(scope, key, token, None)
    if row.request_sha256 != request_sha256:
        raise ReusedKeyError(f"Idempotency-Key {key!r} was used with another body; use a new key for a new request")
    if row.reply is None:
        raise AtWorkError(f"the first request with Idempotency-Key {key!r} is still at work; try again in a moment")
    return Reservation(scope, key, row.token, KeptReply(row.status or 200, row.reply))


def keep_reply(store: Store, reservation: Reservation, reply: KeptReply) -> None:
    """Remember what was answered."""
    with store.write() as connection:
        connection.execute(update(replies).where(_is(reservation)).values(status=reply.status, reply=reply.body))


def give_up(store: Store, reservation: Reservation) -> None:
    """Free the key of a request that failed, so that it can be sent again."""
    with store.write() as connection:
        connection.execute(delete(replies).where(_is(reservation), replies.c.reply.is_(None)))


def _is(reservation: Reservation) -> ColumnElement[bool]:
    """Match the row of this very reservation: another request may have taken the key when this one was given up."""
    same_key = and_(replies.c.scope == reservation.scope, replies.c.key == reservation.key)
    return and_(same_key, replies.c.token == reservation.token)
