"""Tests on paired right and wrong answers: which model is better, and whether one is worse by less than a margin.

Both look at the rows that one model alone has right. All functions take real numbers and arrays of them, of one shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc  # type: ignore[import-untyped]
from scipy.stats import norm  # type: ignore[import-untyped]

from tasks.declaration import GateLimits
from training.paired import Counts, Flags

Floats = NDArray[np.float64]

_TINY = 1e-12
_CORRECTION = 0.25
"""What Tango's test takes off the difference, in rows. With none, a candidate at the margin passes in up to 6 % of
gold sets of 50 to 2,000 rows where 5 % are meant; with a quarter of a row in 4.9 % at most, and the power falls by less
than a point. A half would cost two more."""

_ROUNDS = 60
_MOST_ROWS = 1e6


def better(gains: ArrayLike, losses: ArrayLike) -> Floats:
    """Return the one-sided p-value of the model with `gains` being better, by McNemar's test (1947) in its mid-p form.

    Of the rows that one model alone has right, equally good ones have half each. The exact binomial test means 5 % and
    is wrong in about 4; its mid-p form (Lancaster 1961; Fagerland, Lydersen and Laake 2013, "The McNemar test for
    binary matched-pairs data") is wrong in 4.8 to 5.0 % at 50 to 3,000 rows, and finds three points more. Binomial
    tails are written as incomplete beta functions, and so take numbers of rows that are not whole.
    """
    won, lost = np.asarray(gains, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    at_least = np.where(won > 0, betainc(np.maximum(won, _TINY), lost + 1, 0.5), 1.0)
    above = np.where(lost > 0, betainc(won + 1, np.maximum(lost, _TINY), 0.5), 0.0)
    return np.asarray((at_least + above) / 2, dtype=np.float64)


def tango(
    gains: ArrayLike, losses: ArrayLike, rows: ArrayLike, difference: ArrayLike, correction: float = 0.0
) -> Floats:
    """Return the score of a gain in accuracy above `difference`: standard normal if that is the true gain.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design": the observed gain less the supposed one, over its standard error where the share of rows that the champion
    alone has right is the likeliest under the supposed one. It holds where few or no rows differ, when a Wald interval
    is too narrow or of no width. `correction`, in rows, is taken off the gain.
    """
    won, lost = np.asarray(gains, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    n, gap = np.maximum(np.asarray(rows, dtype=np.float64), _TINY), np.asarray(difference, dtype=np.float64)
    linear = (2 * n - won + lost) * gap - won - lost
    root = np.sqrt(np.maximum(linear**2 + 8 * n * lost * gap * (1 - gap), 0.0))
    share_lost = (root - linear) / (4 * n)
    variance = n * (2 * share_lost + gap * (1 - gap))
    return np.asarray((won - lost - n * gap - correction) / np.sqrt(np.maximum(variance, _TINY)), dtype=np.float64)


def within_margin(gains: ArrayLike, losses: ArrayLike, rows: ArrayLike, margin: float) -> Floats:
    """Return the p-value of the candidate being worse by less than `margin`, above 0: by Tango's score, corrected."""
    return np.asarray(norm.sf(tango(gains, losses, rows, -margin, _CORRECTION)), dtype=np.float64)


def gain_interval(counts: Counts, alpha: float) -> tuple[float, float]:
    """Return the gain's lower and upper bound, each wrong in a share `alpha`; without rows -1 and 1.

    Those are the differences that Tango's corrected score just does not rule out: the lower one is above `-margin`
    exactly where `within_margin` is below `alpha`.
    """
    low = _bound(counts.gains, counts.losses, counts.rows, alpha)
    return low, -_bound(counts.losses, counts.gains, counts.rows, alpha)


def _bound(gains: float, losses: float, rows: float, alpha: float) -> float:
    """Find the lower bound by halving: the score falls as the supposed gain rises."""
    limit, low, high = float(norm.isf(alpha)), -1.0, 1.0
    if rows <= 0:
        return low
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        ruled_out = tango(gains, losses, rows, middle, _CORRECTION) >= limit
        low, high = (middle, high) if ruled_out else (low, middle)
    return low


def holm(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` corrected for their number (Holm 1979), in their order: each to be held against the level."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, most = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = most
    return corrected


def above_share(found: float, rows: float, share: float) -> float:
    """Return the p-value of more than `share` of all rows being as `found` of `rows` are: the exact binomial tail."""
    if found <= 0 or share >= 1:
        return 1.0
    return float(betainc(found, max(rows - found, 0.0) + 1, share))


def passes(gains: ArrayLike, losses: ArrayLike, rows: ArrayLike, limits: GateLimits, margin: float) -> Flags:
    """Tell whether what `limits` ask for is shown: being better, or being worse by less than `margin`."""
    if limits.test == "superiority":
        return np.asarray(better(gains, losses) <= limits.alpha)
    return np.asarray(within_margin(gains, losses, rows, margin) <= limits.alpha)


def fails(gains: ArrayLike, losses: ArrayLike, rows: ArrayLike, limits: GateLimits, margin: float) -> Flags:
    """Tell whether the opposite is shown instead: being worse, by more than what `passes` lets go."""
    worse = np.asarray(better(losses, gains) <= limits.alpha)
    return worse & ~passes(gains, losses, rows, limits, margin)


def rows_to_settle(gold: Counts, others: Counts, limits: GateLimits) -> int | None:
    """Return about how many independent gold rows, those there are included, would pass or fail a candidate.

    That is with the shares of gains and losses seen on `gold`, and `others` as they are. With no row seen it is the
    least number, that of rows on which both are right. None if a million rows would not do.
    """
    sizes = np.unique(np.geomspace(max(gold.rows, 1.0), _MOST_ROWS, 4000).round())
    each = gold.divided(gold.rows) if gold.rows else Counts(0.0, 0.0, 1.0)
    counts = (each.gains * sizes + others.gains, each.losses * sizes + others.losses, sizes + others.rows)
    settled = passes(*counts, limits, limits.margin) | fails(*counts, limits, limits.margin)
    return int(sizes[np.argmax(settled)]) if settled.any() else None
