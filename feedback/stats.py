"""How a task's queue stands, by counts that are kept, so that a million rows cost no more than a thousand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, literal, select, tuple_

from core.ids import first_id
from feedback.agreement import krippendorff_alpha, vote_counts
from feedback.facts import Value
from feedback.items import loaded
from feedback.leases import LEASED
from feedback.mappings import mapped, read_maps
from feedback.schema import answers, items, resolutions, slots
from feedback.store import Store
from feedback.tallies import read_tallies
from tasks.declaration import Task

_LOOKED_AT = 1_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How a queue stands.

    `open` and `resolved` count items, `leased` slots that somebody holds now. `by_reason` counts items as
    `{state: {reason: n}}`. `oldest` is when the oldest open item was made, None without any. `agreement` is
    Krippendorff's alpha (1: perfect, 0: as by chance) over those of the last 1,000 resolutions that two answers or more
    went into, None with too few or without any difference.
    `answers_by_role` and `lease_expiries` only rise.
    """

    open: int
    leased: int
    resolved: int
    by_reason: dict[str, dict[str, int]]
    oldest: datetime | None
    agreement: float | None
    answers_an_hour: int
    answers_by_role: dict[str, int]
    lease_expiries: int


def queue_stats(store: Store, task: Task) -> QueueStats:
    """Return how the queue of `task` stands.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now = store.now(connection)
        counts = read_tallies(connection, task.name)
        by_reason: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, n in counts.items():
            kind, *rest = name.split(".")
            if kind == "items" and n:
                by_reason[rest[0]][rest[1]] = n
        return QueueStats(
            open=sum(by_reason.get("open", {}).values()),
            leased=_leased(connection, task.name, now),
            resolved=sum(by_reason.get("resolved", {}).values()),
            by_reason=dict(by_reason),
            oldest=_oldest(connection, task.name),
            agreement=_agreement(connection, task),
            answers_an_hour=_answers_since(connection, task.name, now - timedelta(hours=1)),
            answers_by_role={name[8:]: n for name, n in counts.items() if name.startswith("answers.")},
            lease_expiries=counts.get("leases.expired", 0),
        )


@dataclass(frozen=True, slots=True)
class Depth:
    """How many items are open, and since when the oldest of them is; None without any."""

    open: int
    oldest: datetime | None


def queue_depths(store: Store, tasks: Sequence[str]) -> dict[str, Depth]:
    """Return how much waits in the queue of each of `tasks`.

    Raises:
        UnavailableError: the store is away.
    """
    depths = {}
    with store.read() as connection:
        for task in tasks:
            counts = read_tallies(connection, task)
            waiting = sum(n for name, n in counts.items() if name.startswith("items.open."))
            depths[task] = Depth(waiting, _oldest(connection, task))
    return depths


def _leased(connection: Connection, task: str, now: datetime) -> int:
    wanted = (slots.c.task == task, slots.c.state == LEASED, slots.c.lease_expires_at > now)
    return connection.execute(select(func.count()).select_from(slots).where(*wanted)).scalar_one()


def _oldest(connection: Connection, task: str) -> datetime | None:
    """Return when the open item with the smallest id was made; ids are in the order of time.

    The three columns are compared together, because PostgreSQL, told that two of them are fixed, may rather walk over
    every resolved item in the order of the ids.
    """
    place = (items.c.task, items.c.state, items.c.id)
    after = tuple_(*place) > tuple_(literal(task), literal("open"), literal(""))
    first = connection.execute(select(*place, items.c.created_at).where(after).order_by(*place).limit(1)).first()
    return first.created_at if first and (first.task, first.state) == (task, "open") else None


def _answers_since(connection: Connection, task: str, moment: datetime) -> int:
    since = select(func.count()).select_from(answers).where(answers.c.task == task, answers.c.id >= first_id(moment))
    return connection.execute(since.where(answers.c.value.is_not(None))).scalar_one()


def _agreement(connection: Connection, task: Task) -> float | None:
    """Return the alpha of the answers that the latest resolutions rest on, those of two people or more."""
    latest = select(resolutions.c.answer_ids).where(resolutions.c.task == task.name)
    rows = connection.scalars(latest.order_by(resolutions.c.id.desc()).limit(_LOOKED_AT))
    used = [ids for ids in rows if len(ids) > 1]
    values = _values(connection, task, [answer for ids in used for answer in ids])
    alpha = krippendorff_alpha(vote_counts([[values[one] for one in ids if one in values] for ids in used]))
    return None if math.isnan(alpha) else alpha


def _values(connection: Connection, task: Task, ids: Sequence[str]) -> dict[str, Value]:
    """Return what answers say, by id, as of today's revision; those that cannot be mapped are missing."""
    maps = read_maps(connection, task)
    wanted = select(answers.c.id, answers.c.value, answers.c.revision)
    values = {}
    for start in range(0, len(ids), _AT_ONCE):
        for row in connection.execute(wanted.where(answers.c.id.in_(ids[start : start + _AT_ONCE]))):
            value = mapped(loaded(row.value), maps.get(row.revision))
            if value is not None:
                values[row.id] = value
    return values
