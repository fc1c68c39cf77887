"""Likely label errors: rows whose label a model that was fitted without them is sure to be another.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels"):
a row counts for the label whose predicted probability is at least what rows of that label get on average. The library
of that paper is under the AGPL, which this project does not ask of its users; the method is the few lines below.

The model is a head on frozen embeddings, fitted once for each fold: seconds for 10,000 rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.classifier import softmax
from service.runner import Floats
from training.frozen import fit_head

Ints = NDArray[np.int64]

FOLDS = 5
MOST_SHARE = 0.05
"""Share of the rows that are called likely errors at most, the likeliest: where a model is wrong often, so is this."""

LEAST_ROWS = 100
"""Rows below which nothing is said: the model knows too little."""

_STRENGTH = 10.0


@dataclass(frozen=True, slots=True)
class LabelError:
    """A row, by its position, whose label is likely to be `label` instead; `margin` is by how much, 0 to 1."""

    position: int
    label: int
    margin: float


def find_label_errors(embeddings: Floats, targets: Ints, groups: Ints, n_labels: int) -> list[LabelError]:
    """Return the likely label errors among rows, the likeliest first.

    Args:
        embeddings: `(n_rows, width)`, of unit length.
        targets: `(n_rows,)`, the labels as given.
        groups: `(n_rows,)`, near-copies share one: they are held out together, or they would vouch for each other.
        n_labels: labels there are.
    """
    if len(targets) < LEAST_ROWS or len(np.unique(targets)) < 2:
        return []
    chances = held_out(embeddings, targets, groups, n_labels)
    return confident_errors(chances, targets)[: int(MOST_SHARE * len(targets))]


def held_out(embeddings: Floats, targets: Ints, groups: Ints, n_labels: int) -> Floats:
    """Return the probabilities, `(n_rows, n_labels)`, that models fitted without each row's group give it.

    A label whose rows are all in one fold has no probability there.
    """
    chances = np.zeros((len(targets), n_labels), dtype=np.float32)
    folds = _folds(groups)
    for fold in range(FOLDS):
        rows, others = folds == fold, folds != fold
        if len(np.unique(targets[others])) > 1:
            weight, bias = fit_head(embeddings[others], targets[others], n_labels, _STRENGTH)
            chances[rows] = softmax(embeddings[rows] @ weight.T + bias)
    return chances


def confident_errors(chances: Floats, targets: Ints) -> list[LabelError]:
    """Return the rows that count for another label than theirs, by held-out `chances` `(n_rows, n_labels)`.

    The likeliest errors come first: those with the greatest margin between the other label and the given one.
    """
    own = chances[np.arange(len(targets)), targets]
    sums = np.bincount(targets, weights=own, minlength=chances.shape[1])
    n = np.bincount(targets, minlength=chances.shape[1])
    usual = np.where(n > 0, sums / np.maximum(n, 1), np.inf)
    confident = np.where(chances >= usual, chances, -1.0)
    likeliest = confident.argmax(axis=1)
    best = confident[np.arange(len(targets)), likeliest]
    found = np.flatnonzero((best >= 0) & (likeliest != targets) & (best > own))
    errors = [LabelError(int(at), int(likeliest[at]), float(best[at] - own[at])) for at in found]
    return sorted(errors, key=lambda error: (-error.margin, error.position))


def _folds(groups: Ints) -> Ints:
    """Return a fold for each row: groups go whole, in an order drawn once for all, to the fold that has fewest rows."""
    members, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(0).permutation(len(members))
    filled, place = [0] * FOLDS, np.zeros(len(members), dtype=np.int64)
    for at in order[np.argsort(-sizes[order], kind="stable")].tolist():
        place[at] = min(range(FOLDS), key=filled.__getitem__)
        filled[place[at]] += int(sizes[at])
    chosen: Ints = place[np.searchsorted(members, groups)]
    return chosen
