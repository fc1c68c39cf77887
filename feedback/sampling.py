"""From the answers that people looked at to all traffic: weighing each by how likely it was to be looked at.

Automatic triage draws each prediction with a known probability. Those drawn with about the same probability form a
stratum. Its size is known (all of those drawn for certain), or follows from the weights 1 / probability, calibrated so
that they sum to the exact traffic and to its exact sum of probabilities (Deville and Särndal 1992, "Calibration
estimators in survey sampling"). Drawn predictions that nobody has resolved yet are taken to be missing at random among
those of the same stratum and label: a queue may serve labels and reasons in any order, but not easy texts first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CERTAIN = 0.999
"""Probability from which a prediction counts as drawn for certain."""
_Z = 1.959964


@dataclass(frozen=True)
class Drawn:
    """What automatic triage drew from the traffic; the arrays have the shape `(n_drawn,)`.

    `labels` are the predicted labels, numbered; `inclusion` the probabilities, above 0, with which they were to be
    drawn; `wrong` is 1 where people said something else, 0 where they agreed, NaN where nobody has resolved it.
    `n_traffic` predictions were made, whose inclusion probabilities sum to `expected`.
    """

    labels: Ints
    inclusion: Floats
    wrong: Floats
    n_traffic: int
    expected: float


@dataclass(frozen=True)
class Estimate:
    """A share of all traffic, 0 to 1, and its 95 % interval.

    `naive` is the plain share among the `n_reviewed` predictions that people resolved: not an estimate of anything, as
    doubtful ones are looked at more often. `n_traffic` is what the estimate speaks of.
    """

    estimate: float
    low: float
    high: float
    naive: float
    n_reviewed: int
    n_traffic: int


@dataclass(frozen=True)
class Stratum:
    """Predictions drawn with about the same probability.

    `size` is their part of the traffic, `error` the share that is wrong, 0.5 where nobody knows. `seen` is how many
    rows of equal weight would tell as much of what such predictions are like, and `rows` of these very ones, of which a
    good part may be known for certain.
    """

    size: float
    error: float
    rows: float
    seen: float = 0.0


def accuracy_of_all(drawn: Drawn) -> Estimate | None:
    """Estimate the share of right answers in all traffic; None where nothing was resolved.

    Strata that nobody has looked at are taken to be half right, anywhere from none to all.
    """
    found = _estimated(drawn, of_undrawn=False)
    return found and Estimate(
        1 - found.estimate, 1 - found.high, 1 - found.low, 1 - found.naive, found.n_reviewed, found.n_traffic
    )


def error_of_unasked(drawn: Drawn) -> Estimate | None:
    """Estimate the share of wrong answers among those that were not drawn, and that nobody will look at.

    That is what a task's `max_error` promises to bound. Each row speaks for the undrawn ones of its kind, so that the
    audit rows carry it. None where nothing was resolved, or everything was drawn.
    """
    return _estimated(drawn, of_undrawn=True)


def _estimated(drawn: Drawn, *, of_undrawn: bool) -> Estimate | None:
    """Estimate the wrong share of what the rows stand for: all traffic, or that part of it which was not drawn."""
    resolved = ~np.isnan(drawn.wrong)
    strata, unknown = _strata(drawn, of_undrawn=of_undrawn)
    if not resolved.any() or not strata:
        return None
    total = sum(one.size for one in strata)
    estimate = sum(one.size * one.error for one in strata) / total
    low, high = _interval(strata, total)
    naive = float(drawn.wrong[resolved].mean())
    mass = round(drawn.n_traffic * float(total) / (float(_calibrated(drawn).sum()) + unknown))
    return Estimate(estimate, low, high, naive, int(resolved.sum()), mass)


def strata_of(drawn: Drawn) -> list[Stratum]:
    """Return the strata of all traffic, those that nobody has looked at included; their sizes sum to the traffic."""
    return _strata(drawn, of_undrawn=False)[0]


def _strata(drawn: Drawn, *, of_undrawn: bool) -> tuple[list[Stratum], int]:
    """Return the strata of what the rows stand for, none where that is nothing, and how much they do not speak of."""
    weights = _calibrated(drawn) * (1.0 - drawn.inclusion if of_undrawn else 1.0)
    if weights.sum() <= 0:
        return [], 0
    kinds = _kinds(drawn.inclusion)
    strata = [_stratum(drawn, weights, kinds == kind, of_undrawn=of_undrawn) for kind in np.unique(kinds)]
    strata = [one for one in strata if one.size > 0]
    unknown = max(0, drawn.n_traffic - len(kinds)) if (kinds == 0).all() else 0
    if unknown:  # nothing was drawn but what was certain to be: of all the rest nothing is known
        strata.append(Stratum(unknown, 0.5, 0.0))
    return strata, unknown


def _kinds(inclusion: Floats) -> Ints:
    """Number rows by their probability, in powers of two; 0 is for certain."""
    return np.where(inclusion >= _CERTAIN, 0, np.floor(np.log2(inclusion)).astype(np.int64))


def _calibrated(drawn: Drawn) -> Floats:
    """Return what each drawn row stands for: 1 / inclusion, corrected to sum to the traffic in number and probability.

    Rows drawn for certain stand for themselves. Where the correction would make a weight negative (very few rows), only
    the number is kept.
    """
    weights, some = 1.0 / drawn.inclusion, drawn.inclusion < _CERTAIN
    rest = weights[some]
    if not len(rest):
        return weights
    n_rest = drawn.n_traffic - int((~some).sum())
    seen = np.stack([np.ones(len(rest)), drawn.inclusion[some]])
    known = np.array([n_rest, drawn.expected - drawn.inclusion[~some].sum()])
    slopes = np.linalg.lstsq((seen * rest) @ seen.T, known - seen @ rest, rcond=1e-9)[0]
    corrected = rest * (1.0 + slopes @ seen)
    weights[some] = corrected if corrected.min() > 0 else rest * max(n_rest, len(rest)) / rest.sum()
    return weights


def _stratum(drawn: Drawn, weights: Floats, members: NDArray[np.bool_], *, of_undrawn: bool) -> Stratum:
    """Return a stratum's share of wrong answers, labels looked at less often weighing as much as they should."""
    size, resolved = float(weights[members].sum()), members & ~np.isnan(drawn.wrong)
    if not resolved.any():
        return Stratum(size, 0.5, 0.0)
    drawn_of, resolved_of = np.bincount(drawn.labels[members]), np.bincount(drawn.labels[resolved])
    rates = np.ones(len(drawn_of))
    rates[: len(resolved_of)] = np.where(resolved_of > 0, drawn_of[: len(resolved_of)] / np.maximum(resolved_of, 1), 1)
    weight = weights[resolved] * rates[drawn.labels[resolved]]
    if weight.sum() <= 0:
        return Stratum(0.0, 0.5, 0.0)
    error = float(weight @ drawn.wrong[resolved] / weight.sum())
    equal = float(weight.sum() ** 2 / (weight @ weight))
    rows = _known_rows(drawn.inclusion[members], int(resolved.sum()), equal, of_undrawn=of_undrawn)
    return Stratum(size, error, rows, equal)


def _known_rows(inclusion: Floats, resolved: int, equal: float, *, of_undrawn: bool) -> float:
    """Return how many rows of an endless population would tell as much as `resolved` ones that weigh as `equal` do.

    More where they are a good part of what is asked about, which is the finite population correction; fewer where the
    undrawn ones are asked about, and are so few that they themselves differ by chance.
    """
    standing = float((1.0 / inclusion).sum())
    if of_undrawn:
        return 1.0 / (1.0 / equal + 1.0 / max(standing - len(inclusion), 1e-9))
    return equal / max(1.0 - resolved / max(resolved, standing), 1e-9)


def _interval(strata: list[Stratum], total: float) -> tuple[float, float]:
    """Return the 95 % interval of what the strata are together, from Wilson's interval of each.

    Distances from the estimate are added in squares: Zou and Donner 2008, "Construction of confidence limits about
    effect measures". Unlike a normal interval it holds for few rows and no errors.
    """
    estimate = below = above = 0.0
    for one in strata:
        low, high = _wilson(one.error, one.rows)
        share = one.size / total
        estimate += share * one.error
        below += (share * (one.error - low)) ** 2
        above += (share * (high - one.error)) ** 2
    return max(0.0, estimate - sqrt(below)), min(1.0, estimate + sqrt(above))


def _wilson(share: float, rows: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share seen in `rows` rows; from 0 to 1 without any."""
    if rows <= 0:
        return 0.0, 1.0
    spread = _Z**2 / rows
    middle = (share + spread / 2) / (1 + spread)
    half = sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return middle - half, middle + half
