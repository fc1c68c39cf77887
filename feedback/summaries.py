"""Figures that are worked out now and then, and kept, so that whoever shows them reads one row."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, func, select

from feedback.figures import Figures, gather_figures
from feedback.schema import annotators, answers, predictions, resolutions, summaries
from feedback.store import Store
from feedback.tallies import read_tallies
from feedback.upsert import insert
from tasks.declaration import Task

EVERY_S = 10.0
"""Seconds between looks at a task in which much goes on."""

_REST = 50.0
"""What takes a second is done every so many seconds at most: the figures never cost more than 2 % of a core."""

_FIGURES = "figures"
_READER = TypeAdapter(Figures)
_KEPT = select(summaries.c.task, summaries.c.content, summaries.c.computed_at).where(summaries.c.name == _FIGURES)


@dataclass(frozen=True)
class Summary:
    """The figures of a task as they were at `computed_at`."""

    figures: Figures
    computed_at: datetime


def read_summaries(store: Store, tasks: Sequence[str]) -> dict[str, Summary]:
    """Return the latest summary of each of `tasks` that has one which this release can read.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        rows = connection.execute(_KEPT.where(summaries.c.task.in_(tasks))).all()
    found = {}
    for row in rows:
        try:
            found[row.task] = Summary(_READER.validate_python(row.content["figures"]), row.computed_at)
        except (KeyError, ValidationError):
            continue  # another release wrote it; it is worked out anew before long
    return found


def refresh_summary(store: Store, task: Task) -> bool:
    """Work the figures of `task` out anew if something has happened and it is time; tell whether it was done.

    The dearer it was the last time, the longer it rests.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now = store.now(connection)
        kept = connection.execute(_KEPT.where(summaries.c.task == task.name)).first()
        marks = _marks(connection, task, now)
    if kept is not None and not _is_due(kept.content, kept.computed_at, marks, now):
        return False
    started = time.perf_counter()
    figures = _READER.dump_python(gather_figures(store, task), mode="json")
    content = {"marks": marks, "seconds": time.perf_counter() - started, "figures": figures}
    values = {"content": content, "computed_at": now}
    with store.write() as connection:
        fresh = insert(connection, summaries).values(task=task.name, name=_FIGURES, **values)
        connection.execute(fresh.on_conflict_do_update(index_elements=["task", "name"], set_=values))
    return True


def _is_due(content: dict[str, Any], computed_at: datetime, marks: list[Any], now: datetime) -> bool:
    if content.get("marks") == marks:
        return False
    return now - computed_at >= timedelta(seconds=max(EVERY_S, _REST * content.get("seconds", 0.0)))


def _marks(connection: Connection, task: Task, now: datetime) -> list[Any]:
    """Return what differs once anything that the figures tell of has happened, found by a few looks at indexes."""
    latest = [
        connection.scalar(select(table.c.id).where(table.c.task == task.name).order_by(table.c.id.desc()).limit(1))
        for table in (predictions, answers, resolutions)
    ]
    judged = connection.scalar(select(func.max(annotators.c.updated_at)).where(annotators.c.task == task.name))
    counts = sorted(read_tallies(connection, task.name).items())
    hour = f"{now:%Y-%m-%dT%H}"
    return [hour, task.revision, *latest, judged.isoformat() if judged else None, [list(pair) for pair in counts]]
