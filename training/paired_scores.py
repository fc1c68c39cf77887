"""What two models' scores are worth on the same rows: how calibrated they are, how well they tell foreign texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]

from training.metrics import BINS
from training.paired import Flags, Ints, Reals, Said

Floats = NDArray[np.float64]

DRAWS = 500
_FEWEST_DRAWS = 200
_MOST_CELLS = 5_000_000
"""Draws times rows from which there are fewer draws, so that memory stays below some 100 MB."""


@dataclass(frozen=True)
class Difference:
    """A figure of the candidate less that of the champion, both given too, and its standard error."""

    champion: float
    candidate: float
    error: float

    @property
    def difference(self) -> float:
        """What the candidate has more of."""
        return self.candidate - self.champion


def resample(groups: Ints, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each row occurs in bootstrap samples of as many groups, `(draws, n)`.

    The paired bootstrap (Efron and Tibshirani 1993; for models on one test set, Koehn 2004): both models are judged on
    the same samples. Groups are drawn whole, since near-copies are right or wrong together. It serves what has no
    distribution of its own, such as calibration.
    """
    if not len(groups):
        return np.zeros((draws, 0))
    _, members = np.unique(groups, return_inverse=True)
    n_groups = int(members.max()) + 1
    draws = min(draws, max(_FEWEST_DRAWS, _MOST_CELLS // len(members)))
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=draws)
    return np.asarray(drawn[:, members], dtype=np.float64)


def compare_accuracy(right: tuple[Flags, Flags], samples: Floats, alpha: float) -> tuple[float, float]:
    """Return the percentile bootstrap bounds of the gain, each wrong in a share `alpha`.

    `right` are the champion's and the candidate's answers, `(n,)` each, `samples` those of `resample`.
    """
    champion, candidate = right
    change = candidate.astype(np.float64) - champion
    low, high = np.quantile(samples @ change / samples.sum(axis=1), [alpha, 1 - alpha])
    return float(low), float(high)


def compare_calibration(said: tuple[Said, Said], targets: Ints, samples: Floats) -> Difference:
    """Compare the expected calibration error, 0 to 1, of champion and candidate (Guo et al. 2017).

    With as many rows for both, the error's own bias on few rows is about the same and falls out.
    """
    shares = [_errors(one, targets, np.ones((1, len(targets)))) for one in said]
    drawn = [_errors(one, targets, samples) for one in said]
    return Difference(float(shares[0][0]), float(shares[1][0]), float((drawn[1] - drawn[0]).std()))


def _errors(said: Said, targets: Ints, samples: Floats) -> Floats:
    """Return the expected calibration error of each sample, `(draws,)`."""
    confidence = said.confidence.astype(np.float64)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.zeros((len(targets), BINS))
    gaps[np.arange(len(targets)), place] = confidence - (said.chosen == targets)
    return np.asarray(np.abs(samples @ gaps).sum(axis=1) / samples.sum(axis=1), dtype=np.float64)


def compare_auroc(champion: Reals, candidate: Reals, outside: Flags) -> Difference:
    """Compare how well two scores `(n,)` tell the `outside` rows, of which there are two or more, as of the others.

    DeLong, DeLong and Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", computed by ranks (Sun and Xu 2014).
    """
    both = [_placements(scores.astype(np.float64), outside) for scores in (champion, candidate)]
    areas = [float(of_outside.mean()) for of_outside, _ in both]
    variance = sum(float((after - before).var(ddof=1)) / len(after) for before, after in zip(*both, strict=True))
    return Difference(areas[0], areas[1], variance**0.5)


def _placements(scores: Floats, outside: Flags) -> tuple[Floats, Floats]:
    """Return for each outside row the share of own rows below it, and for each own row that of outside rows above."""
    high, low = scores[outside], scores[~outside]
    together = rankdata(np.concatenate([high, low]))
    above = (together[: len(high)] - rankdata(high)) / len(low)
    below = 1.0 - (together[len(high) :] - rankdata(low)) / len(high)
    return np.asarray(above), np.asarray(below)
