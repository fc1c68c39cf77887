"""Housekeeping leases: what one process does at a time over one database, and when it was last done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select, update

from feedback.schema import duties
from feedback.store import Store
from feedback.upsert import insert


@dataclass(frozen=True, slots=True)
class Duty:
    """Who holds a duty `until` when, and when it was last `done_at` (None: never)."""

    holder: str
    until: datetime
    done_at: datetime | None


def find_duty(store: Store, name: str) -> tuple[Duty | None, datetime]:
    """Return the duty `name`, None while nobody ever took it, and the moment by the database's clock."""
    with store.read() as connection:
        row = connection.execute(select(duties).where(duties.c.name == name)).first()
        now = store.now(connection)
    return (Duty(row.holder, row.until, row.done_at) if row else None), now


def take(store: Store, name: str, holder: str, seconds: float, *, every_s: float = 0) -> bool:
    """Take or renew the duty `name` for `seconds`; tell whether `holder` has it now.

    Nobody else gets it before the time is over, unless `finish` frees it; and nobody within `every_s` seconds of when
    it was last done.
    """
    with store.write() as connection:
        now = store.now(connection)
        taken = {"holder": holder, "until": now + timedelta(seconds=seconds)}
        free = or_(duties.c.until <= now, duties.c.holder == holder)
        due = or_(duties.c.done_at.is_(None), duties.c.done_at <= now - timedelta(seconds=every_s))
        wanted = insert(connection, duties).values(name=name, **taken)
        wanted = wanted.on_conflict_do_update(index_elements=["name"], set_=taken, where=and_(free, due))
        done = connection.execute(wanted.execution_options(preserve_rowcount=True))
        return done.rowcount == 1


def finish(store: Store, name: str, holder: str) -> None:
    """Note that the duty `name` has been done now, and free it if `holder` has it still."""
    with store.write() as connection:
        now = store.now(connection)
        mine = and_(duties.c.name == name, duties.c.holder == holder)
        connection.execute(update(duties).where(mine).values(until=now, done_at=now))
