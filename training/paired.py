"""Two models on the same rows: what each said, and the few numbers that comparing them comes down to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.floating]
Flags = NDArray[np.bool_]

OUTSIDE = -1
"""Target of a row that no label covers."""

UNKNOWN = -2
"""Choice of a label that is not one of the task's today; never right."""


@dataclass(frozen=True)
class Said:
    """What a model says of `n` rows, `(n,)` each: labels `chosen`, by number, `confidence`, `out_of_scope`, 0 to 1."""

    chosen: Ints
    confidence: Reals
    out_of_scope: Reals


@dataclass(frozen=True)
class Pair:
    """Champion and candidate on the same `n` rows, which are called `ids`.

    `targets` are numbers of labels, or -1 for a row that no label covers. Rows of the same number in `groups` are
    near-copies, and count as one row. `weights`, above 0, say how many rows each stands for; None: each for itself.
    """

    ids: Sequence[str]
    groups: Ints
    targets: Ints
    champion: Said
    candidate: Said
    weights: Reals | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)

    @property
    def own(self) -> Flags:
        """Which rows are of the task's labels, `(n,)`."""
        return np.asarray(self.targets != OUTSIDE)

    @property
    def gained(self) -> Flags:
        """Which rows of the task's labels the candidate alone has right, `(n,)`."""
        right, wrong = self.candidate.chosen == self.targets, self.champion.chosen != self.targets
        return np.asarray(self.own & right & wrong)

    @property
    def lost(self) -> Flags:
        """Which rows of the task's labels the champion alone has right, `(n,)`: the negative flips."""
        right, wrong = self.champion.chosen == self.targets, self.candidate.chosen != self.targets
        return np.asarray(self.own & right & wrong)


@dataclass(frozen=True)
class Counts:
    """Independent rows: how many there are, of how many the candidate alone is right, and of how many the champion.

    Real numbers, since rows that depend on each other, or that stand for different numbers, count for less than one.
    """

    gains: float
    losses: float
    rows: float

    def __add__(self, other: Counts) -> Counts:
        """Put the rows of both together."""
        return Counts(self.gains + other.gains, self.losses + other.losses, self.rows + other.rows)

    def divided(self, by: float) -> Counts:
        """Return the counts of rows that tell `by` times less each."""
        return Counts(self.gains / by, self.losses / by, self.rows / by)

    @property
    def gain(self) -> float:
        """Accuracy of the candidate less that of the champion, -1 to 1; 0 without rows."""
        return (self.gains - self.losses) / self.rows if self.rows else 0.0


def count(pair: Pair, among: Flags | None = None) -> Counts:
    """Count the pair's rows of the task's labels, or those of them `among` `(n,)`.

    Each row counts by its weight, and all of them by as many independent rows of equal weight as tell as much: Kish's
    effective size (1965, "Survey sampling", 8.2 and 11.7) with groups taken whole, as if near-copies were always right
    or wrong together. That is on the safe side, and does not depend on the answers.
    """
    own = pair.own
    weights = np.where(own, 1.0 if pair.weights is None else pair.weights, 0.0)
    total = float(weights.sum())
    if total <= 0:
        return Counts(0.0, 0.0, 0.0)
    _, groups = np.unique(pair.groups, return_inverse=True)
    scale = total / float((np.bincount(groups, weights) ** 2).sum())
    chosen = own if among is None else own & among
    return Counts(*(scale * float(weights[chosen & some].sum()) for some in (pair.gained, pair.lost, own)))
