"""Pinned versions: never pruned, and what candidates are held against so that small steps don't add up to a slide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from core.roles import Caller
from feedback.audit import note
from feedback.schema import pins
from feedback.store import Store
from feedback.upsert import insert_new


@dataclass(frozen=True)
class Pin:
    """A version that stays, who said so, and when."""

    task: str
    version: str
    actor: str
    created_at: datetime


def pin(store: Store, caller: Caller, task: str, version: str) -> bool:
    """Keep `version` for good; tell whether it was not pinned before.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        row = {"task": task, "version": version, "actor": caller.person, "created_at": store.now(connection)}
        added = connection.execute(insert_new(connection, pins), row).rowcount == 1
        if added:
            note(connection, caller, "models.pin", task, version=version)
    return added


def unpin(store: Store, caller: Caller, task: str, version: str) -> bool:
    """Let `version` go when its time comes; tell whether it was pinned.

    Raises:
        UnavailableError: the store is away.
    """
    with store.write() as connection:
        mine = (pins.c.task == task) & (pins.c.version == version)
        removed = connection.execute(delete(pins).where(mine)).rowcount == 1
        if removed:
            note(connection, caller, "models.unpin", task, version=version)
    return removed


def list_pins(store: Store, task: str) -> list[Pin]:
    """Return the pins of `task`, oldest version first.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(pins).where(pins.c.task == task).order_by(pins.c.version)
    with store.read() as connection:
        return [Pin(**row._mapping) for row in connection.execute(wanted)]  # noqa: SLF001 - SQLAlchemy's public name
