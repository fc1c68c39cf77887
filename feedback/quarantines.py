"""Sources whose answers look like a flood: what they say does not train, until somebody has looked and releases it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from core.errors import NotFoundError
from core.ids import is_id, new_id
from core.roles import REGRADE, Caller
from feedback.audit import note
from feedback.outbox import Event, emit
from feedback.schema import quarantines
from feedback.store import Store

_OPEN = quarantines.c.released_at.is_(None)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why the answers of `person` from `since` on are not to be used: the rule that was broken, and by how much."""

    person: str
    reason: str
    since: datetime
    figures: Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A source whose answers of `since` and later are set aside."""

    id: str
    task: str
    person: str
    reason: str
    since: datetime
    figures: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of the sources of a task: the open quarantines, and up to when others were `released`, by person.

    What somebody has released is not suspected again.
    """

    quarantined: Mapping[str, datetime]
    released: Mapping[str, datetime]


def read_sources(store: Store, task: str) -> Sources:
    """Return what is known of the sources of answers to `task`.

    Raises:
        UnavailableError: the store is away.
    """
    mine = quarantines.c.task == task
    released = select(quarantines.c.person, func.max(quarantines.c.released_at)).where(mine, ~_OPEN)
    with store.read() as connection:
        opened = connection.execute(select(quarantines.c.person, quarantines.c.since).where(mine, _OPEN))
        since = {person: moment for person, moment in opened}  # noqa: C416 - a result is no mapping
        until = {person: moment for person, moment in connection.execute(released.group_by(quarantines.c.person))}  # noqa: C416
    return Sources(since, until)


def list_quarantines(store: Store, task: str) -> list[Quarantine]:
    """Return the quarantines of `task` that nobody has released, the oldest first.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(quarantines).where(quarantines.c.task == task, _OPEN).order_by(quarantines.c.id)
    with store.read() as connection:
        return [_quarantine(row) for row in connection.execute(wanted)]


def raise_quarantines(store: Store, connection: Connection, task: str, suspected: Sequence[Suspicion]) -> int:
    """Set the answers of `suspected` people aside, and tell so, by event and audit log; return how many were new.

    Who is in quarantine already stays as they are.
    """
    store.lock(connection, f"quarantines {task}")
    there = set(connection.scalars(select(quarantines.c.person).where(quarantines.c.task == task, _OPEN)))
    new = [one for one in suspected if one.person not in there]
    for one in new:
        row = {"id": new_id(), "task": task, "person": one.person, "reason": one.reason, "since": one.since}
        connection.execute(quarantines.insert(), row | {"figures": one.figures, "created_at": store.now(connection)})
        told = {"reason": one.reason, "since": one.since.isoformat(), **one.figures}
        note(connection, REGRADE, "quarantine", one.person, task=task, **told)
        alert = {"alert": "source.quarantined", "source": one.person, **told}
        emit(connection, [Event("alert.raised", task, alert)])
    return len(new)


def release(store: Store, caller: Caller, task: str, person: str) -> datetime:
    """Let what `person` said up to now train after all; return since when it had been set aside.

    Raises:
        NotFoundError: their answers are not in quarantine.
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        return _release(store, connection, caller, task, person).since


def release_one(store: Store, caller: Caller, task: str, quarantine_id: str) -> Quarantine:
    """Do what `release` does for the person of a quarantine, which is returned.

    Raises:
        NotFoundError: there is none of this id, or it was released before.
        UnavailableError: the store is away.
    """
    person = select(quarantines.c.person).where(quarantines.c.id == quarantine_id, quarantines.c.task == task, _OPEN)
    with store.write() as connection:
        store.lock(connection, f"quarantines {task}")
        found = connection.scalar(person) if is_id(quarantine_id) else None
        if found is None:
            raise NotFoundError(
                f"{task} has no quarantine {quarantine_id[:60]!r} to release; it may have been released already"
            )
        return _release(store, connection, caller, task, found)


def _release(store: Store, connection: Connection, caller: Caller, task: str, person: str) -> Quarantine:
    """Release every open quarantine of a person; return the first."""
    mine = (quarantines.c.task == task) & (quarantines.c.person == person) & _OPEN
    store.lock(connection, f"quarantines {task}")
    row = connection.execute(select(quarantines).where(mine).order_by(quarantines.c.since).limit(1)).first()
    if row is None:
        raise NotFoundError(f"no answers of {person!r} to {task} are in quarantine; nothing is to be released")
    released = {"released_at": store.now(connection), "released_by": caller.person}
    connection.execute(update(quarantines).where(mine).values(released))
    note(connection, caller, "quarantine.release", person, task=task)
    return _quarantine(row)


def _quarantine(row: Row[Any]) -> Quarantine:
    return Quarantine(*(getattr(row, name) for name in Quarantine.__slots__))
