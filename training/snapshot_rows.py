"""The rows of a snapshot: texts with their labels, how sure and how heavy these are, and where they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from feedback.aggregation import PRIORS
from feedback.facts import OUTSIDE, Quality, Value
from feedback.reviewed_items import ReviewedItem
from tasks.declaration import OUT_OF_SCOPE, Task
from training.rows import Row

Source = Literal["base", "reviewed"]

LEAST_WEIGHT, MOST_WEIGHT = 0.2, 1.5
"""Bounds of the weight of a reviewed row; a base row weighs 1."""

DOUBTED_WEIGHT = 0.5
"""Weight of a base row whose label is likely to be wrong: it teaches half as much, and is not lost if it is right."""

TINY = 0.05
"""Probability below which a label is left out of a row's soft labels."""

_CHANCE = 0.5
_FULL = Quality()


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One text that trains.

    `text` is redacted. `label` is the most probable one's name, or `out_of_scope`; `soft` holds `(label, probability)`,
    most probable first, which sum to 1: one entry where the row is certain. `weight` is above 0, and 1 for a base row
    that nobody doubts; `doubted`: its label is likely to be wrong. `line` is where a base row starts in its file.

    The rest is the lineage of a reviewed row: the resolution and the answers it rests on, by whom they were given, the
    item's first prediction and the version that made it (None for a text that was brought), and the revision.
    """

    text: str
    label: str
    soft: tuple[tuple[str, float], ...]
    weight: float
    source: Source
    item_id: str | None = None
    resolution_id: str | None = None
    prediction_id: str | None = None
    model_version: str | None = None
    revision: int | None = None
    answer_ids: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()
    language: str | None = None
    subject: str | None = None
    line: int | None = None
    doubted: bool = False
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """One row that does not train, and why: `reason` is one of a few, `detail` says more where there is more."""

    text: str
    label: str
    reason: str
    source: Source
    detail: str = ""
    line: int | None = None
    item_id: str | None = None
    resolution_id: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """An immutable data set for one training run of `task`.

    `sha256` names it by its content, `number` counts the task's snapshots from 1, `previous` is the one before. `rows`
    have labels of the task, `outside` none; `gold` was held out when it was taken (texts redacted); `aside` is what was
    found and not used. Of the reviewed rows, `new_reviewed` were used by no earlier snapshot.
    """

    task: str
    sha256: str
    number: int
    rows: list[SnapshotRow]
    outside: list[SnapshotRow]
    gold: list[Row]
    aside: list[Aside]
    path: Path
    previous: str | None
    revision: int
    new_reviewed: int


def base_row(row: Row, text: str) -> SnapshotRow:
    """Return the base row with its redacted `text`."""
    label = str(row.label)
    return SnapshotRow(text, label, ((label, 1.0),), 1.0, "base", subject=row.subject, line=row.line)


def reviewed_row(item: ReviewedItem, task: Task, quality: Mapping[str, Quality]) -> SnapshotRow:
    """Return the row of an item; `quality` is what is known of its annotators. Without a value it has no label."""
    names = {label.id: label.name for label in task.labels}
    label = _name(item.value, names)
    return SnapshotRow(
        text=item.text,
        label=label,
        soft=_soft(item, label, names),
        weight=weight_of([quality.get(person, _FULL).weight for person in supporters(item)]),
        source="reviewed",
        item_id=item.item_id,
        resolution_id=item.resolution_id,
        prediction_id=item.prediction_id,
        model_version=item.model_version,
        revision=item.revision,
        answer_ids=tuple(word.answer_id for word in item.words),
        annotators=tuple(word.annotator for word in item.words),
        language=item.language,
        subject=item.subject,
        resolved_at=item.resolved_at,
    )


def supporters(item: ReviewedItem) -> list[str]:
    """Return who said what the item was resolved as, each once, in order."""
    return list(dict.fromkeys(word.annotator for word in item.words if word.value == item.value))


def weight_of(accuracies: Collection[float]) -> float:
    """Return the weight of a row by the estimated accuracies, 0 to 1, of those who gave it its label.

    Their mean, from half (worth next to nothing) over anybody's 0.8 (worth 1), in a straight line between the bounds,
    and in tenths, so that the weekly drift of an estimate makes no new data.
    """
    mean = sum(accuracies) / len(accuracies) if accuracies else PRIORS.accuracy
    weight = (mean - _CHANCE) / (PRIORS.accuracy - _CHANCE)
    return round(min(max(weight, LEAST_WEIGHT), MOST_WEIGHT), 1)


def aside_of(row: SnapshotRow, reason: str, detail: str = "") -> Aside:
    """Return `row` as one that does not train."""
    return Aside(row.text, row.label, reason, row.source, detail, row.line, row.item_id, row.resolution_id, row.subject)


def _name(value: Value | None, names: Mapping[int, str]) -> str:
    if isinstance(value, int):
        return names.get(value, "")
    return OUT_OF_SCOPE if value == OUTSIDE else ""


def _soft(item: ReviewedItem, label: str, names: Mapping[int, str]) -> tuple[tuple[str, float], ...]:
    """Return the posterior over labels without what is tiny; only the label where an expert said otherwise."""
    likely = [
        (names[value], chance)
        for value, chance in item.posterior
        if isinstance(value, int) and value in names and chance >= TINY
    ]
    ranked = sorted(likely, key=lambda pair: (-pair[1], pair[0]))
    if item.value == OUTSIDE or not ranked or ranked[0][0] != label:
        return ((label, 1.0),)
    return _shares(ranked)


def _shares(ranked: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total = sum(chance for _, chance in ranked)
    rest = [(name, round(chance / total, 6)) for name, chance in ranked[1:]]
    return ((ranked[0][0], round(1.0 - sum(chance for _, chance in rest), 6)), *rest)
