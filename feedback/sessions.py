"""Sessions of the pages: somebody with a key signs in once, and is known by a cookie until it expires or they leave.

A session holds no rights of its own: it lets in whomever its key lets in at that moment, so that revoking the key ends
its sessions too. Only the hash of the cookie is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from core.roles import Caller
from feedback.audit import note
from feedback.schema import sessions
from feedback.store import Store


@dataclass(frozen=True)
class Session:
    """A session as it is kept: `sha256` is that of its secret, `key_sha256` that of the key it was made with."""

    sha256: str
    key_sha256: str
    person: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Tell whether it still counts; whether its key does is another question."""
        return self.ended_at is None and now < self.expires_at


def hash_session(secret: str) -> str:
    """Return the SHA-256 of a session's secret, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def csrf_of(secret: str) -> str:
    """Return what a page of the session repeats with everything that changes something.

    It follows from the secret and does not lead back to it: a page may know it, another site's page cannot.
    """
    return hashlib.sha256(f"csrf {secret}".encode("utf-8", "surrogateescape")).hexdigest()


def start_session(store: Store, caller: Caller, key_sha256: str, hours: float) -> tuple[Session, str]:
    """Begin a session of `caller`, who has shown the key with this hash; return it with its secret.

    Raises:
        UnavailableError: the store is away.
    """
    secret = secrets.token_urlsafe(32)
    with store.write() as connection:
        now = store.now(connection)
        session = Session(hash_session(secret), key_sha256, caller.person, now, now + timedelta(hours=hours), None)
        connection.execute(sessions.insert().values(asdict(session)))
        note(connection, caller, "session.started", caller.key_id or "", expires_at=session.expires_at.isoformat())
    return session, secret


def find_sessions(store: Store, hashes: Collection[str]) -> dict[str, Session]:
    """Return the sessions with these hashes of their secrets; the others never were, or were forgotten."""
    if not hashes:
        return {}
    with store.read() as connection:
        rows = connection.execute(select(sessions).where(sessions.c.sha256.in_(sorted(hashes)))).mappings()
        return {row["sha256"]: Session(**row) for row in rows}


def end_session(store: Store, caller: Caller, session: Session) -> None:
    """Let the session's cookie let nobody in any more; one that has ended stays as it is.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        mine = (sessions.c.sha256 == session.sha256) & sessions.c.ended_at.is_(None)
        ended = connection.execute(update(sessions).where(mine).values(ended_at=store.now(connection)))
        if ended.rowcount:
            note(connection, caller, "session.ended", caller.key_id or "")
