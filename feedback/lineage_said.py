"""What lineage begins with: a prediction, an item or an answer, in a few facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select

from core.demo import DEMO_LANGUAGE
from feedback.schema import answers, items, predictions, undoings
from feedback.values import in_words, label_names

ItemNote = Literal["demo", "erased", "merged", "check", "audit", "open"]
"""Why an item does not train: it is `demo` data, or an `audit`, which measures; its text was `erased`, from snapshots
too; it was `merged` into another; it is a `check` item; it is `open`."""


@dataclass(frozen=True)
class PredictionSaid:
    """What `version` said of a text, and the item that came of it, if one did."""

    prediction_id: str
    version: str
    label: str
    labels: list[str] | None
    confidence: float
    reason: str | None
    item_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class ItemSaid:
    """An item and its `predictions`, oldest first; `version` made the first, None for a text that was brought.

    `state` and `reason` are as in `items`; `demo` tells whether it is demo data, and `same_as` is the item that it was
    merged into.
    """

    item_id: str
    state: str
    reason: str
    demo: bool
    same_as: str | None
    version: str | None
    predictions: list[str]
    created_at: datetime

    @property
    def notes(self) -> list[ItemNote]:
        """Why it does not train, as far as that is known of it alone; the first reason is enough."""
        if self.demo:
            return ["demo"]
        states: dict[str, ItemNote] = {"erased": "erased", "merged": "merged", "check": "check"}
        if self.state in states:
            return [states[self.state]]
        if self.reason == "audit":
            return ["audit"]
        return ["open"] if self.state == "open" else []


@dataclass(frozen=True)
class AnswerSaid:
    """What one annotator said of an item; `counted` is `true`, `extra` or `check`."""

    answer_id: str
    item_id: str
    annotator: str
    kind: str
    label: str | None
    labels: list[str] | None
    counted: str
    undone: bool
    created_at: datetime


def prediction_said(connection: Connection, prediction_id: str) -> PredictionSaid:
    """Return a prediction that is there."""
    names = ("id", *PredictionSaid.__dataclass_fields__)[2:]
    columns = [predictions.c.id, *(predictions.c[name] for name in names)]
    return PredictionSaid(*connection.execute(select(*columns).where(predictions.c.id == prediction_id)).one())


def item_said(connection: Connection, item_id: str, most: int) -> ItemSaid:
    """Return an item that is there, with `most` of its predictions at most."""
    row = connection.execute(select(items).where(items.c.id == item_id)).one()
    wanted = select(predictions.c.id, predictions.c.version).where(predictions.c.item_id == item_id)
    said = connection.execute(wanted.order_by(predictions.c.id).limit(most)).all()
    return ItemSaid(
        item_id,
        row.state,
        row.reason,
        demo=row.language == DEMO_LANGUAGE,
        same_as=row.same_as,
        version=said[0].version if said else None,
        predictions=[one.id for one in said],
        created_at=row.created_at,
    )


def answer_said(connection: Connection, answer_id: str) -> AnswerSaid:
    """Return an answer that is there."""
    row = connection.execute(select(answers).where(answers.c.id == answer_id)).one()
    undone = connection.scalar(select(undoings.c.answer_id).where(undoings.c.answer_id == answer_id)) is not None
    return AnswerSaid(
        answer_id,
        row.item_id,
        row.annotator,
        row.kind,
        **in_words(row.value, label_names(connection, row.task)),
        counted=row.counted,
        undone=undone,
        created_at=row.created_at,
    )
