"""What people and applications said of one version's predictions: what a watch holds against another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from core.ids import first_id
from feedback.demo import is_real
from feedback.estimate import read_seen
from feedback.recording import hour_of
from feedback.sampling import Drawn
from feedback.schema import items, predictions, reports, resolutions
from feedback.store import Store
from tasks.declaration import Task


@dataclass(frozen=True)
class Observed:
    """A `version`'s predictions in some time, without demo data.

    Attributes:
        version: which version made them.
        drawn: what triage drew of them, with what people said; `drawn.n_traffic` are all there were.
        reported: those that applications reported wrong, each once, without those that people found right since.
        labels: how many there were by predicted label.
    """

    version: str
    drawn: Drawn
    reported: int
    labels: Mapping[str, int]


def read_observed(store: Store, task: Task, version: str, since: datetime) -> Observed:
    """Return what is known of the predictions that `version` made since the hour of `since`.

    Raises:
        UnavailableError: the store is away.
    """
    seen = read_seen(store, task, since, version, with_demo=False)
    with store.read() as connection:
        reported = _reported_wrong(connection, task.name, version, hour_of(since))
    counts = {label: counted.predictions for label, counted in seen.traffic.items() if counted.predictions > 0}
    return Observed(version, seen.drawn, reported, counts)


def _reported_wrong(connection: Connection, task: str, version: str, since: datetime) -> int:
    """Count the predictions that were reported wrong; a resolution that says the same as the model refutes a report."""
    p = predictions.c
    counted = (
        select(func.count(reports.c.prediction_id.distinct()))
        .join_from(reports, predictions, p.id == reports.c.prediction_id)
        .outerjoin(items, items.c.id == p.item_id)
        .outerjoin(resolutions, resolutions.c.id == items.c.resolution_id)
        .where(reports.c.task == task, reports.c.id >= first_id(since), reports.c.correct.is_(False))
        .where(p.task == task, p.version == version, p.created_at >= since, is_real(p.language))
        .where(or_(resolutions.c.confirms.is_(None), resolutions.c.confirms.is_(False)))
    )
    return int(connection.execute(counted).scalar_one())
