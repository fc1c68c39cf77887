"""The audit log as people read it: newest first, by who did what, at a cost that does not grow with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from feedback.audit import Entry, Head, entry_of, last_seal
from feedback.schema import audit, seals
from feedback.store import Store

_MOST_UNSEALED = 1_000


@dataclass(frozen=True)
class SealedEntry:
    """An entry, and the number of the seal that covers it; None until there is one."""

    entry: Entry
    seal: int | None


@dataclass(frozen=True)
class Sealing:
    """How far the log is sealed: its `head`, when that was made, and how many entries have no seal, 1,000 at most."""

    head: Head
    sealed_at: datetime | None
    unsealed: int


def browse_entries(
    store: Store, *, before: int | None = None, limit: int = 100, actor: str | None = None, action: str | None = None
) -> list[SealedEntry]:
    """Return up to `limit` entries with ids below `before` (None: the newest), newest first.

    `actor` and `action` narrow it down to entries by that person, and of that kind.

    Raises:
        UnavailableError: the store is away.
    """
    older = audit.c.id < before if before is not None else audit.c.id > 0
    with store.read() as connection:
        ids = _newest(connection, older, limit, actor, action)
        rows = connection.execute(select(audit).where(audit.c.id.in_(ids)).order_by(audit.c.id.desc()))
        return [SealedEntry(entry_of(row), row.seal_id) for row in rows]


def list_actions(store: Store) -> list[str]:
    """Return every kind of entry that the log has, by name."""
    with store.read() as connection:
        return _actions(connection)


def sealing(store: Store) -> Sealing:
    """Tell how far the log is sealed."""
    unsealed = select(audit.c.id).where(audit.c.seal_id.is_(None)).limit(_MOST_UNSEALED).subquery()
    with store.read() as connection:
        head = last_seal(connection)
        sealed_at = connection.scalar(select(seals.c.created_at).where(seals.c.id == head.seal))
        return Sealing(head, sealed_at, connection.execute(select(func.count()).select_from(unsealed)).scalar_one())


def _newest(
    connection: Connection, older: ColumnElement[bool], limit: int, actor: str | None, action: str | None
) -> Sequence[int]:
    """Return the ids of the newest entries that fit; each query reads one index from its end, and stops.

    What one person did is gathered from each kind of entry, so that no index is needed for people alone.
    """
    wanted = select(audit.c.id).where(older).order_by(audit.c.id.desc()).limit(limit)
    if action is not None:
        wanted = wanted.where(audit.c.action == action)
    if actor is None:
        return connection.scalars(wanted).all()
    wanted = wanted.where(audit.c.actor == actor)
    kinds = [action] if action is not None else _actions(connection)
    found = [one for kind in kinds for one in connection.scalars(wanted.where(audit.c.action == kind))]
    return sorted(found, reverse=True)[:limit]


def _actions(connection: Connection) -> list[str]:
    """Step through the index from one kind of entry to the next."""
    found, last = [], ""
    wanted = select(func.min(audit.c.action))
    while action := connection.execute(wanted.where(audit.c.action > last)).scalar_one():
        found.append(action)
        last = action
    return sorted(found)
