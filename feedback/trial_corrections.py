"""How often people corrected what the candidate and the champion said since a trial began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, case, func, or_, select

from core.ids import first_id
from feedback.demo import is_real
from feedback.estimate import read_seen
from feedback.facts import AUTOMATIC
from feedback.schema import predictions, reports
from feedback.store import Store
from feedback.trial_figures import Side
from feedback.trials import Trial
from tasks.declaration import Task


@dataclass(frozen=True)
class Corrected:
    """Of how many `predictions` people `judged` some, and `corrected` so many of those."""

    predictions: int = 0
    judged: int = 0
    corrected: int = 0


def read_corrections(store: Store, task: Task, trial: Trial) -> dict[Side, Corrected]:
    """Return what people said of the predictions of both versions since the hour in which the trial began.

    A prediction is judged where the item that triage made of it is resolved, or where an application reported on it;
    where both happened, the resolution counts. Demo data does not.

    Raises:
        UnavailableError: the store is away.
    """
    return {
        "candidate": _of_version(store, task, trial, trial.version),
        "champion": _of_version(store, task, trial, trial.champion),
    }


def _of_version(store: Store, task: Task, trial: Trial, version: str) -> Corrected:
    seen = read_seen(store, task, trial.created_at, version, with_demo=False)
    wrong = seen.drawn.wrong[~np.isnan(seen.drawn.wrong)]
    with store.read() as connection:
        reported, disagreed = _reported(connection, trial, version)
    made = sum(counted.predictions for counted in seen.traffic.values())
    return Corrected(made, len(wrong) + reported, int(wrong.sum()) + disagreed)


def _reported(connection: Connection, trial: Trial, version: str) -> tuple[int, int]:
    """Count the predictions that were reported on and not asked about by triage, and those said to be wrong."""
    p, start = predictions.c, trial.created_at.replace(minute=0, second=0, microsecond=0)
    worst = (
        select(p.id, func.max(case((reports.c.correct.is_(False), 1), else_=0)).label("wrong"))
        .join_from(reports, predictions, reports.c.prediction_id == p.id)
        .where(reports.c.task == trial.task, reports.c.id >= first_id(start), reports.c.correct.is_not(None))
        .where(p.version == version, p.created_at >= start, is_real(p.language))
        .where(or_(p.reason.is_(None), p.reason.not_in(AUTOMATIC)))
        .group_by(p.id)
        .subquery()
    )
    n, wrong = connection.execute(select(func.count(), func.sum(worst.c.wrong)).select_from(worst)).one()
    return int(n), int(wrong or 0)
