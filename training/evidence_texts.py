"""The texts that both models are asked about: which they are, and what people say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.redaction import Redactor
from core.text import text_hash
from feedback.facts import AUTOMATIC
from feedback.measuring import Reviewed, read_audits, read_reviewed, snapshot_number
from feedback.store import Store
from tasks.declaration import OUT_OF_SCOPE, Task
from training.paired import OUTSIDE, Flags, Ints, Reals
from training.rows import Row
from training.snapshot_rows import Snapshot, SnapshotRow

_MOST_AUDITS = 1000
_MOST_CORRECTIONS = 500
"""The latest; each costs milliseconds with both models, and a fast run has seconds."""


@dataclass(frozen=True)
class Asked:
    """`n` texts by `ids`, redacted, with the numbers of their labels, `targets` `(n,)`, and what each stands for."""

    ids: list[str]
    texts: list[str]
    targets: Ints
    weights: Reals | None = None

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)


def gold_texts(task: Task, rows: Sequence[Row]) -> Asked:
    """Return the gold rows, called by their lines."""
    redact, numbers = Redactor(task.redact), _numbers(task)
    targets = [numbers[str(row.label)] for row in rows]
    return Asked([str(row.line) for row in rows], [redact(row.text) for row in rows], _array(targets))


def audit_texts(store: Store, task: Task, snapshot: Snapshot) -> Asked:
    """Return the latest thousand resolved audits, weighted by how rarely they were drawn; none that trains.

    An audit is drawn where there is no other reason to ask, so that they speak of what the model was sure of.

    Raises:
        UnavailableError: the store is away.
    """
    places = {label.id: number for number, label in enumerate(task.labels)}
    trained = {text_hash(row.text) for row in [*snapshot.rows, *snapshot.outside]}
    known = [
        (audit, places[audit.value])
        for audit in read_audits(store, task)
        if isinstance(audit.value, int) and audit.value in places and text_hash(audit.text) not in trained
    ][:_MOST_AUDITS]
    return Asked(
        [audit.prediction_id for audit, _ in known],
        [audit.text for audit, _ in known],
        _array([target for _, target in known]),
        np.array([1.0 / audit.inclusion for audit, _ in known]),
    )


class ReviewedTexts:
    """The reviewed rows of a snapshot: those that the champion has learnt from, and those that are new to it.

    New is what neither the champion's own snapshot nor one before it used; if that is no snapshot, all are.
    """

    def __init__(self, store: Store, task: Task, snapshot: Snapshot, champion_sha256: str) -> None:
        """Read what is known of the rows.

        Raises:
            UnavailableError: the store is away.
        """
        self._numbers = _numbers(task)
        self._rows = [row for row in snapshot.rows if row.source == "reviewed" and row.resolution_id is not None]
        self._known = read_reviewed(store, [str(row.resolution_id) for row in self._rows])
        self._number = snapshot_number(store, task.name, champion_sha256)

    def corrections(self) -> Asked:
        """Return the latest 500 texts on which a model was corrected, and which the champion has learnt from."""
        past = [row for row, about in self._told() if self._is_past(about) and about.confirms is False]
        return self._asked(past[-_MOST_CORRECTIONS:])

    def new(self) -> tuple[Asked, Flags]:
        """Return the texts that are new to the champion, and whether triage chose each, `(n,)`.

        Texts that somebody sent because the model was wrong about them, or that were asked again because an answer was
        doubted, were chosen by their answers: they are not such that triage chose.
        """
        new = [(row, about) for row, about in self._told() if not self._is_past(about)]
        drawn = np.array([about.reason in AUTOMATIC for _, about in new], dtype=np.bool_)
        return self._asked([row for row, _ in new]), drawn

    def _told(self) -> list[tuple[SnapshotRow, Reviewed]]:
        """Return rows with what is known of them, the oldest resolution first."""
        found = [(row, self._known[str(row.resolution_id)]) for row in self._rows if row.resolution_id in self._known]
        return sorted(found, key=lambda pair: pair[1].id)

    def _is_past(self, about: Reviewed) -> bool:
        return about.number is not None and about.number <= self._number

    def _asked(self, rows: Sequence[SnapshotRow]) -> Asked:
        ids = [str(row.item_id) for row in rows]
        return Asked(ids, [row.text for row in rows], _array([self._numbers[row.label] for row in rows]))


def _numbers(task: Task) -> dict[str, int]:
    return {**{name: number for number, name in enumerate(task.label_names)}, OUT_OF_SCOPE: OUTSIDE}


def _array(numbers: Sequence[int]) -> Ints:
    return np.array(numbers, dtype=np.int64)
