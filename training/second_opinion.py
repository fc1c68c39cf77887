"""What the live model says of rows that it has not learnt from: of newly reviewed ones, and, held out, of base rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.settings import Settings
from feedback.reviewed_items import ReviewedItem, Word
from tasks.declaration import OUT_OF_SCOPE, Task
from training.champion import Champion
from training.floods import Heard
from training.kept_arrays import kept_array
from training.label_errors import LEAST_ROWS, find_label_errors
from training.near import groups
from training.snapshot_rows import SnapshotRow, supporters

IMPROBABLE, SURE = 0.02, 0.95
"""A person's word is doubted where the model gives it less than the one, and another label at least the other."""

MOST_DOUBTED = 0.1
"""Share of the newly reviewed rows that is doubted at most, the least probable; one at least."""


@dataclass(frozen=True)
class Opinion:
    """Newly reviewed items on one person's word, and what the live model says of them; see `Heard`."""

    items: list[ReviewedItem] = field(default_factory=list)
    heard: Heard = field(
        default_factory=lambda: Heard([], [], np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.float32))
    )

    def doubted(self, among: Collection[str]) -> list[ReviewedItem]:
        """Return the items whose label is likely to be wrong, of the resolutions `among`; none that was asked twice."""
        given, best = self.heard.given, self.heard.chances.max(axis=1)
        likely = np.flatnonzero((given < IMPROBABLE) & (best >= SURE))
        ranked = sorted(likely.tolist(), key=lambda row: (float(given[row]), self.items[row].resolution_id))
        free = [row for row in ranked if self.items[row].round == 1 and self.items[row].resolution_id in among]
        return [self.items[row] for row in free[: max(1, int(MOST_DOUBTED * len(self.items)))]]


def opinion_of(
    champion: Champion, task: Task, reviewed: Sequence[ReviewedItem], released: Mapping[str, datetime]
) -> Opinion:
    """Ask the live version about those of `reviewed` that nothing has learnt from and one person decided.

    Left out are those out of scope, and what somebody has `released`, by person and until when.
    """
    places: dict[object, int] = {label.id: place for place, label in enumerate(task.labels)}
    new = [one for one in reviewed if one.value in places and one.used_in is None and len(supporters(one)) == 1]
    asked = [one for one in new if not _is_released(_voice(one), released)]
    if not asked:
        return Opinion()
    voices = [_voice(one) for one in asked]
    heard = Heard(
        [word.annotator for word in voices],
        [word.said_at for word in voices],
        np.array([places[one.value] for one in asked], dtype=np.int64),
        champion.probabilities(champion.embed([one.text for one in asked])),
    )
    return Opinion(asked, heard)


def base_errors(
    settings: Settings, champion: Champion, task: Task, rows: Sequence[SnapshotRow]
) -> list[tuple[SnapshotRow, str]]:
    """Return the base rows whose label is likely to be wrong, with the likelier label, the likeliest first.

    They are looked for once for the same rows, with the embeddings of the version that is live then: what is found
    depends a little on that, and the same rows should not be other data after each promotion.
    """
    inside = [row for row in rows if row.label != OUT_OF_SCOPE]
    texts, names = [row.text for row in inside], task.label_names

    def work() -> NDArray[np.float64]:
        numbers = {name: number for number, name in enumerate(names)}
        targets = np.array([numbers[row.label] for row in inside], dtype=np.int64)
        found = find_label_errors(champion.embed(texts), targets, groups(texts), len(names))
        return np.array([(one.position, one.label) for one in found], dtype=np.float64).reshape(-1, 2)

    if len(inside) < LEAST_ROWS:
        return []
    parts = (texts, [row.label for row in inside], names)
    kept = kept_array(settings.home / "cache" / "label_errors", parts, work)
    return [(inside[int(position)], names[int(label)]) for position, label in kept.tolist()]


def _voice(item: ReviewedItem) -> Word:
    return next(word for word in item.words if word.value == item.value)


def _is_released(word: Word, released: Mapping[str, datetime]) -> bool:
    return word.annotator in released and word.said_at <= released[word.annotator]
