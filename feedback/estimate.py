"""How a task does on all of its traffic, from the predictions that triage drew and people resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Row, Select, Text, case, cast, func, select

from core.ids import first_id
from feedback.demo import is_demo, is_real
from feedback.facts import AUTOMATIC, OUTSIDE, Value
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, read_maps, read_names
from feedback.sampling import Drawn, Estimate, accuracy_of_all, error_of_unasked
from feedback.schema import items, predictions, resolutions, traffic
from feedback.store import Store
from tasks.declaration import Task

_LATE = timedelta(minutes=1)
"""How far the id of a prediction may be from its time."""


class Counted(NamedTuple):
    """Exact traffic: how many predictions, the sum of their inclusion probabilities, how many triage selected."""

    predictions: int
    expected: float
    selected: int


@dataclass(frozen=True)
class Seen:
    """What a task predicted since a moment: all of it by exact counts, and one by one what triage drew of it.

    `labels` are the predicted labels, in the order of the numbers in `drawn`; `traffic` is by predicted label.
    """

    labels: tuple[str, ...]
    drawn: Drawn
    traffic: Mapping[str, Counted]

    def of_label(self, label: str) -> Drawn:
        """Return the part of `drawn` whose predicted label is `label`."""
        number = self.labels.index(label) if label in self.labels else -1
        mine, counted = self.drawn.labels == number, self.traffic.get(label, Counted(0, 0.0, 0))
        chosen = (self.drawn.labels[mine], self.drawn.inclusion[mine], self.drawn.wrong[mine])
        return Drawn(*chosen, counted.predictions, counted.expected)


def live_accuracy(store: Store, task: Task, since: datetime, *, version: str | None = None) -> Estimate | None:
    """Estimate the share of right answers among all predictions since the hour of `since`, of one version or of all.

    Only what triage drew by itself counts: what users reported, what was imported and check items were not drawn with a
    known probability. An answer to a text that people called out of scope was wrong. Drawn predictions that are not
    resolved yet are taken to be missing at random among those of the same label and about the same probability. None
    where nothing drawn has been resolved.
    """
    return accuracy_of_all(read_seen(store, task, since, version).drawn)


def unreviewed_error(
    store: Store, task: Task, since: datetime, *, version: str | None = None, with_demo: bool = True
) -> Estimate | None:
    """Estimate the share of wrong answers among the predictions that nobody was asked about; see `live_accuracy`.

    It is to be held against the task's `triage.max_error`. None where nothing drawn has been resolved, or where
    everything was drawn.
    """
    return error_of_unasked(read_seen(store, task, since, version, with_demo=with_demo).drawn)


def read_seen(store: Store, task: Task, since: datetime, version: str | None = None, *, with_demo: bool = True) -> Seen:
    """Return what was predicted since the hour of `since`, by one version or all, with or without demo data.

    The database adds up what is alike, so that a busy month fits into memory.

    Raises:
        UnavailableError: the store is away.
    """
    start = since.replace(minute=0, second=0, microsecond=0)
    with store.read() as connection:
        sums = connection.execute(_traffic(task.name, start, version)).all()
        asked = _asked(task.name, start, version)
        played: list[Any] = []
        if not with_demo:
            asked = asked.where(is_real(predictions.c.language))
            played = list(connection.execute(_demo_traffic(task.name, start, version)))
        rows = connection.execute(asked).all()
        names = {revision: read_names(connection, task, revision) for revision in {row.revision for row in rows}}
        maps = read_maps(connection, task)
    counted = {label: Counted(int(n), float(expected), int(selected)) for label, n, expected, selected in sums}
    for label, n, expected, selected in played:
        whole = counted.get(label, Counted(0, 0.0, 0))
        counted[label] = Counted(whole.predictions - n, whole.expected - expected, whole.selected - selected)
    numbers: dict[str, int] = {}
    labels = np.array([numbers.setdefault(row.label, len(numbers)) for row in rows], dtype=np.int64)
    inclusion = np.array([row.inclusion for row in rows], dtype=np.float64)
    wrong = np.array([_wrong(row, names[row.revision], maps) for row in rows], dtype=np.float64)
    alike = np.array([row.n for row in rows], dtype=np.int64)
    n_traffic, expected = (
        sum(one.predictions for one in counted.values()),
        sum(one.expected for one in counted.values()),
    )
    each = (np.repeat(labels, alike), np.repeat(inclusion, alike), np.repeat(wrong, alike))
    return Seen(tuple(numbers), Drawn(*each, n_traffic, expected), counted)


def _traffic(task: str, start: datetime, version: str | None) -> Select[Any]:
    """Select, by predicted label, the three figures of `Counted`."""
    t = traffic.c
    counted = select(t.stratum, func.sum(t.predictions), func.sum(t.expected), func.sum(t.selected))
    counted = counted.where(t.task == task, t.hour >= start).group_by(t.stratum)
    return counted.where(t.version == version) if version else counted


def _demo_traffic(task: str, start: datetime, version: str | None) -> Select[Any]:
    """Select what demo data makes up of the figures of `_traffic`; it is kept as long as it is counted."""
    p = predictions.c
    selected = func.sum(case((p.reason.in_(AUTOMATIC), 1), else_=0))
    counted = select(p.label, func.count(), func.sum(p.inclusion), selected)
    counted = counted.where(is_demo(p.language), p.task == task, p.created_at >= start).group_by(p.label)
    return counted.where(p.version == version) if version else counted


def _asked(task: str, start: datetime, version: str | None) -> Select[Any]:
    """Select what triage drew, with the resolution that its item has now; a copy has that of the item it went into.

    Predictions with the same label, probability and resolution are one row, with their number `n`.
    """
    standing = items.alias("standing")
    p = predictions.c
    alike = [
        p.label,
        cast(p.labels, Text).label("labels"),
        p.revision,
        p.inclusion,
        cast(resolutions.c.value, Text).label("value"),
        resolutions.c.revision.label("said_in"),
    ]
    drawn = (
        select(*alike, func.count().label("n"))
        .select_from(predictions)
        .join(items, items.c.id == p.item_id, isouter=True)
        .join(standing, standing.c.id == func.coalesce(items.c.same_as, items.c.id), isouter=True)
        .join(resolutions, resolutions.c.id == standing.c.resolution_id, isouter=True)
        .where(p.task == task, p.reason.in_(AUTOMATIC), p.created_at >= start, p.id >= first_id(start - _LATE))
        .group_by(*alike)
    )
    return drawn.where(p.version == version) if version else drawn


def _wrong(row: Row[Any], names: Mapping[str, int | None], maps: Mapping[int, Mapped]) -> float:
    """Return 1 where people said something else than the model, 0 where the same, NaN where that cannot be told."""
    if row.value is None:
        return float("nan")
    said = mapped(loaded(orjson.loads(row.value)), maps.get(row.said_in))
    predicted = {names.get(name) for name in ([row.label] if row.labels is None else orjson.loads(row.labels))}
    if said is None or None in predicted:
        return float("nan")
    return float(said == OUTSIDE or predicted != _ids(said))


def _ids(value: Value) -> set[int]:
    if isinstance(value, tuple):
        return set(value)
    return {value} if isinstance(value, int) else set()
