"""How a task does on all of its traffic, from the predictions that triage drew and people resolved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, func, select

from core.ids import first_id
from feedback.facts import AUTOMATIC, OUTSIDE, Value
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, read_maps, read_names
from feedback.sampling import Drawn, Estimate, accuracy_of_all, error_of_unasked
from feedback.schema import items, predictions, resolutions, traffic
from feedback.store import Store
from tasks.declaration import Task

_LATE = timedelta(minutes=1)
"""How far the id of a prediction may be from its time."""


def live_accuracy(store: Store, task: Task, since: datetime, *, version: str | None = None) -> Estimate | None:
    """Estimate the share of right answers among all predictions since the hour of `since`, of one version or of all.

    Only what triage drew by itself counts: what users reported, what was imported and check items were not drawn with a
    known probability. An answer to a text that people called out of scope was wrong. Drawn predictions that are not
    resolved yet are taken to be missing at random among those of the same label and about the same probability. None
    where nothing drawn has been resolved.
    """
    return accuracy_of_all(_drawn(store, task, since, version))


def unreviewed_error(store: Store, task: Task, since: datetime, *, version: str | None = None) -> Estimate | None:
    """Estimate the share of wrong answers among the predictions that nobody was asked about; see `live_accuracy`.

    It is to be held against the task's `triage.max_error`. None where nothing drawn has been resolved, or where
    everything was drawn.
    """
    return error_of_unasked(_drawn(store, task, since, version))


def _drawn(store: Store, task: Task, since: datetime, version: str | None) -> Drawn:
    start = since.replace(minute=0, second=0, microsecond=0)
    with store.read() as connection:
        n_traffic, expected = connection.execute(_traffic(task.name, start, version)).one()
        rows = connection.execute(_asked(task.name, start, version)).all()
        names = {revision: read_names(connection, task, revision) for revision in {row.revision for row in rows}}
        maps = read_maps(connection, task)
    numbers: dict[str, int] = {}
    return Drawn(
        np.array([numbers.setdefault(row.label, len(numbers)) for row in rows], dtype=np.int64),
        np.array([row.inclusion for row in rows], dtype=np.float64),
        np.array([_wrong(row, names[row.revision], maps) for row in rows], dtype=np.float64),
        int(n_traffic or 0),
        float(expected or 0.0),
    )


def _traffic(task: str, start: datetime, version: str | None) -> Select[Any]:
    """Select how many predictions there were, and the sum of their inclusion probabilities."""
    counted = select(func.sum(traffic.c.predictions), func.sum(traffic.c.expected))
    counted = counted.where(traffic.c.task == task, traffic.c.hour >= start)
    return counted.where(traffic.c.version == version) if version else counted


def _asked(task: str, start: datetime, version: str | None) -> Select[Any]:
    """Select what triage drew, with the resolution that its item has now; a copy has that of the item it went into."""
    standing = items.alias("standing")
    p = predictions.c
    drawn = (
        select(p.label, p.labels, p.revision, p.inclusion, resolutions.c.value, resolutions.c.revision.label("said_in"))
        .select_from(predictions)
        .join(items, items.c.id == p.item_id, isouter=True)
        .join(standing, standing.c.id == func.coalesce(items.c.same_as, items.c.id), isouter=True)
        .join(resolutions, resolutions.c.id == standing.c.resolution_id, isouter=True)
        .where(p.task == task, p.reason.in_(AUTOMATIC), p.created_at >= start, p.id >= first_id(start - _LATE))
        .order_by(p.id)
    )
    return drawn.where(p.version == version) if version else drawn


def _wrong(row: Row[Any], names: Mapping[str, int | None], maps: Mapping[int, Mapped]) -> float:
    """Return 1 where people said something else than the model, 0 where the same, NaN where that cannot be told."""
    if row.value is None:
        return float("nan")
    said = mapped(loaded(row.value), maps.get(row.said_in))
    predicted = {names.get(name) for name in ([row.label] if row.labels is None else row.labels)}
    if said is None or None in predicted:
        return float("nan")
    return float(said == OUTSIDE or predicted != _ids(said))


def _ids(value: Value) -> set[int]:
    if isinstance(value, tuple):
        return set(value)
    return {value} if isinstance(value, int) else set()
