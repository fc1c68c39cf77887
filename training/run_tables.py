"""What the report of a run tells, as plain tables: made from what both models say of the gold rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.declaration import OUT_OF_SCOPE
from training.gate import Evidence
from training.metrics import BINS, Bin
from training.paired import OUTSIDE, Pair, Said
from training.rows import Row
from training.snapshot_rows import Snapshot

MOST_FLIPS = 60
"""Examples of each kind that are shown."""


@dataclass(frozen=True)
class LabelChange:
    """The share of a label's gold rows, `n`, that each model has right, and the reviewed rows that taught it."""

    label: str
    n: int
    champion: float
    candidate: float
    gained: int
    lost: int
    reviewed: int


@dataclass(frozen=True)
class Flip:
    """A gold text on which the two models differ: its label, and what each says, how surely."""

    text: str
    label: str
    champion: str
    champion_confidence: float
    candidate: str
    candidate_confidence: float


def label_changes(gold: Pair, labels: Sequence[str], snapshot: Snapshot) -> list[LabelChange]:
    """Return what changes for each label that has gold rows, the greatest loss first."""
    taught = Counter(row.label for row in snapshot.rows if row.source == "reviewed")
    found = []
    for number, label in enumerate(labels):
        mine = gold.targets == number
        n = int(mine.sum())
        if not n:
            continue
        before, now = (float((said.chosen[mine] == number).mean()) for said in (gold.champion, gold.candidate))
        gained, lost = int(gold.gained[mine].sum()), int(gold.lost[mine].sum())
        found.append(LabelChange(label, n, before, now, gained, lost, taught[label]))
    return sorted(found, key=lambda one: (one.candidate - one.champion, one.label))


def flips(evidence: Evidence, gold: Sequence[Row]) -> dict[str, list[Flip]]:
    """Return the gold rows that became `wrong`, `right`, or are wrong in `another` way, surest first.

    `gold` are the rows of the evidence, in its order; where they are others, nothing is shown.
    """
    pair = evidence.gold
    if len(gold) != len(pair):
        return {"wrong": [], "right": [], "another": []}
    differ = pair.own & (pair.champion.chosen != pair.candidate.chosen) & ~pair.gained & ~pair.lost
    kinds = {"wrong": pair.lost, "right": pair.gained, "another": differ}
    return {
        kind: sorted(
            (_flip(evidence, gold[at], at) for at in np.flatnonzero(flags).tolist()),
            key=lambda one: -one.candidate_confidence,
        )[:MOST_FLIPS]
        for kind, flags in kinds.items()
    }


def _flip(evidence: Evidence, row: Row, at: int) -> Flip:
    pair, labels = evidence.gold, evidence.labels

    def name(number: int) -> str:
        return labels[number] if 0 <= number < len(labels) else OUT_OF_SCOPE if number == OUTSIDE else "?"

    return Flip(
        row.text,
        name(int(pair.targets[at])),
        name(int(pair.champion.chosen[at])),
        float(pair.champion.confidence[at]),
        name(int(pair.candidate.chosen[at])),
        float(pair.candidate.confidence[at]),
    )


def bins_of(pair: Pair, said: Said) -> list[Bin]:
    """Bin what one model says of the rows of labels by confidence, as `metrics.reliability` does."""
    own = pair.own
    confidence, right = said.confidence[own].astype(np.float64), said.chosen[own] == pair.targets[own]
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for number in range(BINS):
        inside = place == number
        n = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if n else (float("nan"),) * 2
        found.append(Bin(n, *means))
    return found
