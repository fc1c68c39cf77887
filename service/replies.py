"""What callers get back from `predict`, as the contract has it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.ids import new_id
from service.classifier import Classifier, Judged


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LabelScore(_Reply):
    """A label and its calibrated probability."""

    label: str
    score: float = Field(ge=0, le=1)


class Span(_Reply):
    """An entity: `[start, end)` in Unicode code points of the stored text."""

    start: int
    end: int
    label: str


class Review(_Reply):
    """The item that a doubtful prediction became, and why."""

    item_id: str
    reason: str


class Prediction(_Reply):
    """What the model says of one text."""

    id: str = Field(description="UUIDv7.")
    label: str
    labels: list[str] | None
    spans: list[Span] | None
    confidence: float = Field(ge=0, le=1, description="Calibrated probability of `label`.")
    scores: list[LabelScore]
    out_of_scope: float = Field(ge=0, le=1)
    truncated: bool = Field(description="Whether the text was longer than the model sees.")
    review: Review | None


class PredictReply(_Reply):
    """Body of a reply to `predict`."""

    task: str
    model_version: str
    predictions: list[Prediction]


class TasksPredictReply(_Reply):
    """Body of a reply to `predict` of several tasks: by name, what each of them would have replied by itself."""

    results: dict[str, PredictReply]


def prediction(classifier: Classifier, judged: Judged, best: list[int]) -> dict[str, Any]:
    """Return one prediction in the form of `Prediction`, with the labels at the positions `best`, best first.

    Built as a plain dict, without pydantic, because this is the hot path. `review` is filled in once it is committed.
    """
    names = classifier.label_names
    scores = [
        {"label": names[position], "score": round(score, 6)}
        for position, score in zip(best, judged.probabilities[best].tolist(), strict=True)
    ]
    return {
        "id": new_id(),
        "label": scores[0]["label"],
        "labels": None,
        "spans": None,
        "confidence": scores[0]["score"],
        "scores": scores,
        "out_of_scope": round(judged.out_of_scope, 6),
        "truncated": judged.truncated,
        "review": None,
    }
