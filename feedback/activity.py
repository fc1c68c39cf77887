"""How much went on with a task, by the hour and by the day (UTC)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, func, select

from core.ids import first_id
from feedback.schema import answers, resolutions, traffic

HOURS = 48
DAYS = 30

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Hour:
    """The hour from `start`: how many `predictions`, and how many of them triage `selected` for review."""

    start: datetime
    predictions: int
    selected: int


@dataclass(frozen=True)
class Day:
    """The day from `start`: predictions, those triage `selected`, answers given, and items that people resolved."""

    start: datetime
    predictions: int
    selected: int
    answers: int
    resolved: int


def by_hour(connection: Connection, task: str, now: datetime) -> list[Hour]:
    """Return every hour of the last `DAYS` days that had traffic, oldest first."""
    t = traffic.c
    summed = select(t.hour, func.sum(t.predictions), func.sum(t.selected)).where(t.task == task)
    rows = connection.execute(summed.where(t.hour >= _first_day(now)).group_by(t.hour).order_by(t.hour))
    return [Hour(start, int(n), int(selected)) for start, n, selected in rows]


def latest_hours(hours: Sequence[Hour], now: datetime) -> list[Hour]:
    """Return each of the last `HOURS` hours, the present one last; those without traffic have zeros."""
    this = now.replace(minute=0, second=0, microsecond=0)
    known = {hour.start: hour for hour in hours}
    starts = [this - back * _HOUR for back in range(HOURS - 1, -1, -1)]
    return [known.get(start, Hour(start, 0, 0)) for start in starts]


def by_day(connection: Connection, task: str, hours: Sequence[Hour], now: datetime) -> list[Day]:
    """Return each of the last `DAYS` days, today last, from the traffic of `hours` and what people did."""
    starts = [_first_day(now) + number * _DAY for number in range(DAYS)]
    said = _counts(connection, answers, (answers.c.task == task) & answers.c.value.is_not(None), starts)
    settled = _counts(connection, resolutions, resolutions.c.task == task, starts)
    predicted, selected = Counter[datetime](), Counter[datetime]()
    for hour in hours:
        day = hour.start.replace(hour=0)
        predicted[day] += hour.predictions
        selected[day] += hour.selected
    return [Day(start, predicted[start], selected[start], said[start], settled[start]) for start in starts]


def _first_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - (DAYS - 1) * _DAY


def _counts(
    connection: Connection, table: Table, wanted: ColumnElement[bool], starts: Sequence[datetime]
) -> Mapping[datetime, int]:
    """Count the rows of each day by their ids, which are in the order of time and indexed."""
    counted = select(func.count()).select_from(table).where(wanted)
    return {
        start: connection.execute(
            counted.where(table.c.id >= first_id(start), table.c.id < first_id(start + _DAY))
        ).scalar_one()
        for start in starts
    }
