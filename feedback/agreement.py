"""How far annotators agree beyond chance: Cohen's and Fleiss' kappa and Krippendorff's alpha, with intervals.

All treat labels as names without an order: 1 is full agreement, 0 what chance gives, below 0 is worse than chance.
Where everybody always gives the same label, chance agrees as well, and there is nothing to measure: NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.facts import Value

Floats = NDArray[np.float64]

_Weighted = Callable[[Floats], Floats]
"""From how often each item counts, `(n_samples, n_items)`, to the coefficients `(n_samples,)`."""

_AT_ONCE = 100
"""Bootstrap samples that are held in memory together."""


@dataclass(frozen=True)
class Agreement:
    """A coefficient, and the ends of its interval."""

    value: float
    low: float
    high: float


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float:
    """Return the agreement of two people; `first` and `second`, `(n_items,)`, are their labels, numbered from 0.

    Cohen 1960, "A coefficient of agreement for nominal scales".
    """
    return _of_all(_cohen(np.asarray(first), np.asarray(second)), len(np.asarray(first)))


def fleiss_kappa(counts: ArrayLike) -> float:
    """Return the agreement of many, the same number for each item; `counts`, `(n_items, n_labels)`, are its votes.

    Fleiss 1971, "Measuring nominal scale agreement among many raters".

    Raises:
        ValueError: items have different numbers of votes, or fewer than two.
    """
    table = np.asarray(counts, dtype=np.float64)
    return _of_all(_fleiss(table), len(table))


def krippendorff_alpha(counts: ArrayLike) -> float:
    """Return the agreement of any number of people, not all of whom need have seen all items.

    `counts`, `(n_items, n_labels)`, are each item's votes by label; items with fewer than two say nothing. Krippendorff
    2011, "Computing Krippendorff's alpha-reliability", for nominal data.
    """
    table = np.asarray(counts, dtype=np.float64)
    return _of_all(_krippendorff(table), len(table))


def cohen_interval(first: ArrayLike, second: ArrayLike, *, seed: int = 1, samples: int = 1000) -> Agreement:
    """Return `cohen_kappa` with its 95 % percentile bootstrap interval over items."""
    return _bootstrapped(_cohen(np.asarray(first), np.asarray(second)), len(np.asarray(first)), seed, samples)


def fleiss_interval(counts: ArrayLike, *, seed: int = 1, samples: int = 1000) -> Agreement:
    """Return `fleiss_kappa` with its 95 % percentile bootstrap interval over items."""
    table = np.asarray(counts, dtype=np.float64)
    return _bootstrapped(_fleiss(table), len(table), seed, samples)


def krippendorff_interval(counts: ArrayLike, *, seed: int = 1, samples: int = 1000) -> Agreement:
    """Return `krippendorff_alpha` with its 95 % percentile bootstrap interval over items."""
    table = np.asarray(counts, dtype=np.float64)
    return _bootstrapped(_krippendorff(table), len(table), seed, samples)


def vote_counts(items: Iterable[Sequence[Value]]) -> Floats:
    """Return each item's answers by value, `(n_items, n_values)`; a set of labels is a value of its own."""
    numbers: dict[Value, int] = {}
    numbered = [[numbers.setdefault(value, len(numbers)) for value in item] for item in items]
    counts = np.zeros((len(numbered), max(1, len(numbers))))
    for row, values in enumerate(numbered):
        np.add.at(counts[row], values, 1)
    return counts


def _cohen(first: NDArray[np.int64], second: NDArray[np.int64]) -> _Weighted:
    n_labels = int(max(first.max(initial=0), second.max(initial=0))) + 1
    ones, twos, same = np.eye(n_labels)[first], np.eye(n_labels)[second], (first == second).astype(np.float64)

    def of(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        by_chance = ((weights @ ones) * (weights @ twos)).sum(axis=1) / total**2
        return _beyond_chance(weights @ same / total, by_chance)

    return of


def _fleiss(counts: Floats) -> _Weighted:
    votes = counts.sum(axis=1)
    if len(votes) == 0 or votes.min() < 2 or votes.min() != votes.max():
        raise ValueError("Fleiss' kappa wants the same number of votes, two or more, for each item; use alpha instead")
    agreeing = ((counts**2).sum(axis=1) - votes) / (votes * (votes - 1))

    def of(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        shares = weights @ counts / (total * votes[0])[:, None]
        return _beyond_chance(weights @ agreeing / total, (shares**2).sum(axis=1))

    return of


def _krippendorff(counts: Floats) -> _Weighted:
    votes = counts.sum(axis=1)
    paired = votes > 1
    table, pairable = np.where(paired[:, None], counts, 0.0), np.where(paired, votes, 0.0)
    differing = np.where(paired, (votes**2 - (counts**2).sum(axis=1)) / np.maximum(votes - 1, 1), 0.0)

    def of(weights: Floats) -> Floats:
        total = weights @ pairable
        expected = total**2 - ((weights @ table) ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 0, 1.0 - (total - 1) * (weights @ differing) / expected, np.nan)

    return of


def _beyond_chance(observed: Floats, by_chance: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_chance < 1.0 - 1e-12, (observed - by_chance) / (1.0 - by_chance), np.nan)


def _of_all(statistic: _Weighted, n_items: int) -> float:
    return float(statistic(np.ones((1, n_items)))[0]) if n_items else float("nan")


def _bootstrapped(statistic: _Weighted, n_items: int, seed: int, samples: int) -> Agreement:
    """Draw items with replacement, `samples` times, and take the middle 95 % of the coefficients."""
    value = _of_all(statistic, n_items)
    if np.isnan(value):
        return Agreement(value, value, value)
    random, even = np.random.default_rng(seed), np.full(n_items, 1.0 / n_items)
    drawn = [
        statistic(random.multinomial(n_items, even, min(_AT_ONCE, samples - start)).astype(np.float64))
        for start in range(0, samples, _AT_ONCE)
    ]
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Agreement(value, float(low), float(high))
