"""What lately came in for a task: how much of it, and how sure the model was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select

from feedback.schema import predictions, texts, traffic
from feedback.store import Store

_DAYS = 7
_LEAST_HOURS = 24.0
"""A few hours say little of a day: what came in them counts as all that comes in one."""


@dataclass(frozen=True)
class Recent:
    """Predictions `per_day` over up to the last week, and `(confidence, out_of_scope)` of the latest ones, 0 to 1."""

    per_day: float
    scores: list[tuple[float, float]]


class Latest(NamedTuple):
    """A prediction's version, scores (0 to 1), and why a person was asked about it, None where nobody was."""

    version: str
    confidence: float
    out_of_scope: float
    reason: str | None


def recent_traffic(store: Store, task: str, version: str, most: int = 50_000) -> Recent:
    """Return how many predictions a day `task` had, and the scores of the last `most` that `version` made.

    `per_day` counts from the first hour with traffic in the last week, or over a day where that was later; without any
    it is 0.

    Raises:
        UnavailableError: the store is away.
    """
    made_by = (predictions.c.task == task) & (predictions.c.version == version)
    latest = select(predictions.c.confidence, predictions.c.out_of_scope).where(made_by)
    with store.read() as connection:
        now = store.now(connection)
        counted = (traffic.c.task == task) & (traffic.c.hour > now - timedelta(days=_DAYS))
        total, first = connection.execute(
            select(func.sum(traffic.c.predictions), func.min(traffic.c.hour)).where(counted)
        ).one()
        rows = connection.execute(latest.order_by(predictions.c.id.desc()).limit(most))
        scores = [(float(confidence), float(out_of_scope)) for confidence, out_of_scope in rows]
    return Recent(daily(total or 0, first, now), scores)


def daily(total: int, first: datetime | None, now: datetime) -> float:
    """Return how many a day `total` are that came since the hour `first`, at least a day ago; None: there are none."""
    hours = max(_LEAST_HOURS, (now - first).total_seconds() / 3600) if first else _LEAST_HOURS
    return total * 24.0 / hours


def latest_predictions(store: Store, task: str, most: int = 2_000) -> list[Latest]:
    """Return the last `most` predictions of `task`, by whatever version, latest first.

    Raises:
        UnavailableError: the store is away.
    """
    p = predictions.c
    latest = select(p.version, p.confidence, p.out_of_scope, p.reason).where(p.task == task)
    with store.read() as connection:
        return [Latest(*row) for row in connection.execute(latest.order_by(p.id.desc()).limit(most))]


def latest_texts(store: Store, task: str, most: int = 2_000) -> list[str]:
    """Return the redacted texts of the last `most` predictions of `task`, as far as they are kept, latest first.

    Raises:
        UnavailableError: the store is away.
    """
    of_task = (predictions.c.task == task) & (texts.c.id == predictions.c.id)
    latest = select(texts.c.content).where(of_task).order_by(predictions.c.id.desc()).limit(most)
    with store.read() as connection:
        return list(connection.execute(latest).scalars())
