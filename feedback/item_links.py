"""What stands under an item beside people's answers: the predictions of its text, and reports about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from feedback.schema import predictions, reports, texts
from feedback.store import Store
from feedback.values import in_words, label_names


@dataclass(frozen=True)
class LinkedPrediction:
    """What the model said of the item's text; `reason` is why people are asked, if this prediction was the cause."""

    id: str
    version: str
    label: str
    confidence: float
    out_of_scope: float
    reason: str | None
    created_at: datetime


@dataclass(frozen=True)
class LinkedReport:
    """What an application said: whether it was `correct`, and the right `label` or `labels` where it knew."""

    id: str
    prediction_id: str | None
    correct: bool | None
    label: str | None
    labels: list[str] | None
    comment: str | None
    source: str | None
    created_at: datetime


@dataclass(frozen=True)
class ItemLinks:
    """Predictions and reports of an item, newest first."""

    predictions: list[LinkedPrediction]
    reports: list[LinkedReport]


def item_links(store: Store, item_id: str, most: int) -> ItemLinks:
    """Return the newest `most` predictions and reports of an item.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        return ItemLinks(_predictions(connection, item_id, most), _reports(connection, item_id, most))


def _predictions(connection: Connection, item_id: str, most: int) -> list[LinkedPrediction]:
    columns = [predictions.c[name] for name in LinkedPrediction.__dataclass_fields__]
    wanted = select(*columns).where(predictions.c.item_id == item_id).order_by(predictions.c.id.desc()).limit(most)
    return [LinkedPrediction(*row) for row in connection.execute(wanted)]


def _reports(connection: Connection, item_id: str, most: int) -> list[LinkedReport]:
    joined = reports.outerjoin(texts, texts.c.id == reports.c.comment_id)
    wanted = select(reports, texts.c.content).select_from(joined).where(reports.c.item_id == item_id)
    rows = connection.execute(wanted.order_by(reports.c.id.desc()).limit(most)).all()
    names = label_names(connection, rows[0].task) if rows else {}
    return [
        LinkedReport(
            id=row.id,
            prediction_id=row.prediction_id,
            correct=row.correct,
            **in_words(row.value, names),
            comment=row.content,
            source=row.source,
            created_at=row.created_at,
        )
        for row in rows
    ]
