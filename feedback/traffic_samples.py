"""Bounded samples of what a version predicted in some time: as many of every hour as its share of the traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from core.ids import first_id
from feedback.demo import is_real
from feedback.recording import hour_of
from feedback.schema import predictions, texts, traffic
from feedback.store import Store

MOST = 5_000
"""Predictions in a sample, about."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Sampled(NamedTuple):
    """One prediction of a sample; `confidence` is 0 to 1."""

    id: str
    label: str
    confidence: float


class First(NamedTuple):
    """A sample of a version's first traffic, which ends at `until`."""

    until: datetime
    sample: list[Sampled]


def first_traffic(store: Store, task: str, version: str, since: datetime, least: int) -> First | None:
    """Return a sample of what `version` predicted from `since` on in a day, or until there were `least` predictions.

    None where that is not over yet.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now, n = store.now(connection), 0
        for hour, predicted in _hours(connection, task, version, since, now):
            n, until = n + predicted, hour + _HOUR
            if n >= least and until >= since + _DAY and until <= now:
                sample = _sample(connection, task, version, (since, until))
                return First(until, sample) if len(sample) >= least else None
    return None


def latest_traffic(store: Store, task: str, version: str, after: datetime, least: int) -> list[Sampled] | None:
    """Return a sample of the last day's predictions by `version`, or where they are few of up to a week's.

    None where there are fewer than `least`, those before `after` left out.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now, n = store.now(connection), 0
        for hour, predicted in reversed(_hours(connection, task, version, max(after, now - _WEEK), now)):
            if n >= least and hour + _HOUR <= now - _DAY:
                break
            n, since = n + predicted, hour
        if n < least:
            return None
        sample = _sample(connection, task, version, (max(since, after), now))
    return sample if len(sample) >= least else None


def kept_texts(store: Store, ids: Sequence[str]) -> list[str]:
    """Return the redacted texts of the predictions `ids`, a few hundred, that are still kept.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        return list(connection.scalars(select(texts.c.content).where(texts.c.id.in_(ids)).order_by(texts.c.id)))


def _hours(
    connection: Connection, task: str, version: str, since: datetime, until: datetime
) -> list[tuple[datetime, int]]:
    """Return the hours with traffic from that of `since` on, oldest first, and how much each had."""
    t = traffic.c
    mine = (t.task == task) & (t.version == version) & (t.hour >= hour_of(since)) & (t.hour < until)
    rows = connection.execute(select(t.hour, func.sum(t.predictions)).where(mine).group_by(t.hour).order_by(t.hour))
    return [(hour, int(n)) for hour, n in rows]


def _sample(connection: Connection, task: str, version: str, between: tuple[datetime, datetime]) -> list[Sampled]:
    """Return about `MOST` predictions, without demo data, oldest first: every hour gives its first ones."""
    start, end = between
    hours = _hours(connection, task, version, start, end)
    share = min(1.0, MOST / max(1, sum(n for _, n in hours)))
    p, found = predictions.c, list[Sampled]()
    wanted = select(p.id, p.label, p.confidence).where(p.task == task, p.version == version, is_real(p.language))
    for hour, n in hours:
        since, until = max(start, hour), min(end, hour + _HOUR)
        some = wanted.where(p.id >= first_id(since), p.id < first_id(until)).order_by(p.id)
        found += [Sampled(*row) for row in connection.execute(some.limit(math.ceil(n * share)))]
    return found
