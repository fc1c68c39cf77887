"""How far traffic has moved: the population stability index, read as is usual, with chance told apart from change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2  # type: ignore[import-untyped]

from feedback.watches import Aspect, Shift, Verdict

Floats = NDArray[np.float64]

LIMIT = 0.25
"""Index from which traffic has shifted (Siddiqi 2006, "Credit Risk Scorecards")."""

_MOVING = 0.1 / 0.25
"""Part of the limit from which it moves: 0.1, by the same reading."""

_LEVEL = 0.001
"""How often at most equal traffic is called moving by one look."""

_LEAST = 10
"""Observations of both sides together below which a cell is put together with the other rare ones."""

_BINS = 10


class Index(NamedTuple):
    """A population stability index.

    `value` is the sum of (p - q) ln(p / q) over `cells`; `excess` what is left of it without the (cells - 1)
    (1 / n + 1 / m) that equal populations have on average; `chance` what they exceed once in a thousand times.
    """

    value: float
    excess: float
    chance: float
    cells: int


def stability(reference: Sequence[float], recent: Sequence[float], level: float = _LEVEL) -> Index:
    """Return the population stability index of counts in the same cells, both of shape `(n_cells,)`, neither empty.

    Where populations are equal, the index over 1 / n + 1 / m has about a chi-squared distribution (Yurdakul and Naranjo
    2020, "Statistical properties of the population stability index"). Half an observation a cell, distributed as both
    sides together are, keeps empty cells from making it infinite; rare cells are put together.
    """
    counts = _merged(np.array([reference, recent], dtype=np.float64))
    sizes, cells = counts.sum(axis=1, keepdims=True), counts.shape[1]
    pooled = counts.sum(axis=0) / counts.sum()
    prior = cells / 2
    p, q = (counts + prior * pooled) / (sizes + prior)
    value = float(((p - q) * np.log(p / q)).sum())
    by_chance = float((1 / sizes).sum())
    chance = by_chance * float(chi2.isf(level, cells - 1)) if cells > 1 else 0.0
    return Index(value, max(0.0, value - (cells - 1) * by_chance), chance, cells)


def _merged(counts: Floats) -> Floats:
    """Put cells together that hold fewer than `_LEAST` observations; drop empty ones."""
    totals = counts.sum(axis=0)
    rare = totals < _LEAST
    rest = counts[:, rare].sum(axis=1, keepdims=True)
    kept = counts[:, ~rare]
    return np.hstack([kept, rest]) if rest.sum() > 0 else kept


def aligned(reference: Mapping[str, int], recent: Mapping[str, int]) -> tuple[list[float], list[float]]:
    """Return counts by label as two lists in the same order."""
    names = sorted({*reference, *recent})
    return [float(reference.get(name, 0)) for name in names], [float(recent.get(name, 0)) for name in names]


def bin_edges(confidences: Sequence[float]) -> list[float]:
    """Return the inner edges of up to ten bins that hold about as many of `confidences` each."""
    quantiles = np.quantile(np.asarray(confidences, dtype=np.float64), np.arange(1, _BINS) / _BINS)
    return [float(edge) for edge in np.unique(quantiles)]


def binned(confidences: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Count `confidences` in the bins between `edges`, the last open at the top."""
    places = np.searchsorted(np.asarray(edges), np.asarray(confidences, dtype=np.float64), side="left")
    return [int(n) for n in np.bincount(places, minlength=len(edges) + 1)]


def shift_of(aspect: Aspect, reference: Sequence[float], recent: Sequence[float], limit: float) -> Shift:
    """Return how far `recent` counts are from those of the reference; moving or shifted only beyond chance."""
    index = stability(reference, recent)
    found = verdict(index.excess, limit, beyond_chance=index.value > index.chance)
    return Shift(aspect, index.excess, limit, found, int(sum(reference)), int(sum(recent)))


def verdict(value: float, limit: float, *, beyond_chance: bool) -> Verdict:
    """Return how a shift is read: from `limit` on it is one, and moving from two fifths of that on."""
    if not beyond_chance or value < _MOVING * limit:
        return "steady"
    return "shifted" if value >= limit else "moving"


def began(since: Any, shifts: Sequence[Shift]) -> bool:
    """Tell whether traffic counts as shifted, which it did already where `since` is not None.

    Once begun, it is over when every shift is at less than four fifths of its limit, so that it is told of once.
    """
    if since is None:
        return any(shift.verdict == "shifted" for shift in shifts)
    return any(shift.verdict != "steady" and shift.value >= 0.8 * shift.limit for shift in shifts)
