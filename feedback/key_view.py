"""Keys as people read them: newest first, a page at a time."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select

from feedback.keys import Key, key_of
from feedback.schema import keys
from feedback.store import Store

Shown = Literal["good", "expired", "revoked", "all"]
"""Which keys to show: those that let somebody in, those that do not any more, or all."""


def browse_keys(
    store: Store, show: Shown, *, person: str | None = None, before: str | None = None, limit: int = 100
) -> list[Key]:
    """Return up to `limit` keys with ids below `before` (None: the newest), newest first, of `person` if one is given.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(keys).order_by(keys.c.id.desc()).limit(limit)
    with store.read() as connection:
        now = store.now(connection)
        expired = keys.c.expires_at.is_not(None) & (keys.c.expires_at <= now)
        narrowed = {
            "good": keys.c.revoked_at.is_(None) & ~expired,
            "expired": keys.c.revoked_at.is_(None) & expired,
            "revoked": keys.c.revoked_at.is_not(None),
        }
        if show in narrowed:
            wanted = wanted.where(narrowed[show])
        if person is not None:
            wanted = wanted.where(keys.c.person == person)
        if before is not None:
            wanted = wanted.where(keys.c.id < before)
        return [key_of(row) for row in connection.execute(wanted)]
