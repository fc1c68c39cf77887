"""Whether texts have become others: a two-sample test on their embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedback.watches import Shift
from training.drift import verdict

Floats = NDArray[np.float32] | NDArray[np.float64]

TEXTS_LIMIT = 0.01
"""Energy coefficient from which texts have shifted: what replacing somewhat less than half of BANKING77's texts by
CLINC150's makes; all of them make 0.05."""

_PERMUTATIONS = 999
_LEVEL = 0.002


class Energy(NamedTuple):
    """The energy `coefficient` of two samples, 0 (alike) to 1, and how probable one as large is by chance."""

    coefficient: float
    p_value: float


def energy_test(reference: Floats, recent: Floats, seed: int = 0, permutations: int = _PERMUTATIONS) -> Energy:
    """Compare two samples of embeddings, `(n, width)` and `(m, width)`, two rows at least of each.

    Energy distance 2E|X - Y| - E|X - X'| - E|Y - Y'| over 2E|X - Y|, without the pairs of a row and itself, and its
    permutation test: Székely and Rizzo 2013, "Energy statistics: a class of statistics based on distances". A negative
    estimate is given as 0.
    """
    n, m = len(reference), len(recent)
    distances = _distances(np.concatenate([reference, recent]).astype(np.float64))
    first = np.zeros(n + m)
    first[:n] = 1.0
    random = np.random.default_rng(seed)
    drawn = np.stack([first, *(random.permutation(first) for _ in range(permutations))], axis=1)
    to_first = distances @ drawn
    within = (drawn * to_first).sum(axis=0)
    across = ((1.0 - drawn) * to_first).sum(axis=0)
    rest = distances.sum() - within - 2.0 * across
    mean_across = across / (n * m)
    found = 2.0 * mean_across - within / (n * (n - 1)) - rest / (m * (m - 1))
    p_value = float((1 + (found[1:] >= found[0]).sum()) / (1 + permutations))
    return Energy(max(0.0, float(found[0] / max(2.0 * mean_across[0], 1e-12))), p_value)


def shift_of_texts(reference: Floats, recent: Floats) -> Shift:
    """Return how far the embeddings of recent texts are from those of the reference."""
    found = energy_test(reference, recent)
    said = verdict(found.coefficient, TEXTS_LIMIT, beyond_chance=found.p_value <= _LEVEL)
    return Shift("texts", found.coefficient, TEXTS_LIMIT, said, len(reference), len(recent))


def _distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Euclidean distances `(n, n)` between rows."""
    squares = (rows**2).sum(axis=1)
    found: NDArray[np.float64] = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2.0 * rows @ rows.T, 0.0))
    np.fill_diagonal(found, 0.0)
    return found
