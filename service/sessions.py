"""Sessions as a worker knows them: from memory, at most a second old, so that a page never waits for the store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from feedback.sessions import Session, find_sessions, hash_session
from feedback.store import Store

_MOST = 10_000
"""Sessions that a worker knows at most; it asks for others again."""


class Sessions:
    """The good sessions that this worker has seen."""

    def __init__(self, store: Store) -> None:
        """Know none yet."""
        self._store = store
        self._known: dict[str, Session] = {}

    def refresh(self) -> None:
        """Look which of the known ones still count; called outside the event loop.

        Raises:
            UnavailableError: the store is away.
        """
        known = list(self._known)
        seen = find_sessions(self._store, known)
        self._drop(sha256 for sha256 in known if sha256 not in seen or not seen[sha256].is_good(datetime.now(UTC)))

    def known(self, secret: str) -> Session | None:
        """Return the session with this secret if it was seen before."""
        return self._known.get(hash_session(secret))

    def look_up(self, secret: str) -> Session | None:
        """Ask the store for a session, be it good or not; called outside the event loop.

        Raises:
            UnavailableError: the store is away.
        """
        sha256 = hash_session(secret)
        return find_sessions(self._store, [sha256]).get(sha256)

    def add(self, session: Session) -> None:
        """Know a session that has just begun or was found."""
        if len(self._known) >= _MOST:
            self._drop([next(iter(self._known))])
        self._known[session.sha256] = session

    def forget(self, session: Session) -> None:
        """Know a session no more, because it has ended."""
        self._drop([session.sha256])

    def _drop(self, hashes: Iterable[str]) -> None:
        for sha256 in hashes:
            self._known.pop(sha256, None)
