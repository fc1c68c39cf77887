"""Whether what people newly said can be: answers that contradict the champion more, or more wildly, than its errors do.

Thirty wrong answers among thousands of rows cost too little accuracy for any gold set to notice, and yet make a model
wrong about texts like theirs. They show in the answers themselves, held against a champion that has not learnt from
them. Two questions, as each has a blind side. *How often* the champion is contradicted is foretold by its calibrated
confidence, but only where texts were chosen without regard to whether it was right: by triage. *What it is corrected
to* can be held against the corrections on gold, whoever chose the texts: even where the champion is wrong, the right
label is seldom one that it thought impossible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata  # type: ignore[import-untyped]

from training.paired import Flags, Reals

Floats = NDArray[np.float64]

LEAST_MISTAKES = 10
"""Gold rows that the champion must have wrong, before anything can be held against them."""


@dataclass(frozen=True)
class NewAnswers:
    """What people said of `n` texts that the champion has not learnt from, and `m` gold rows that it has wrong.

    `confidence` is the champion's, `given` the probability that it gave the label which people said, `contradicts`
    whether that is another than its own, `drawn` whether triage chose the text, `(n,)` each. `mistakes` `(m,)` are the
    probabilities that it gave the right label of those gold rows.
    """

    confidence: Reals
    given: Reals
    contradicts: Flags
    drawn: Flags
    mistakes: Reals

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.given)


@dataclass(frozen=True)
class Contradicted:
    """Of `n` answers to texts that triage drew, `found` contradict the champion where `expected` were to; p-value."""

    n: int
    found: int
    expected: float
    p_value: float


@dataclass(frozen=True)
class Corrected:
    """The chance that the right label of a gold mistake was likelier to the champion than that of a correction.

    `chance` is over `n` corrections; 0.5 is alike. `p_value` is that of the chance being above the limit.
    """

    n: int
    chance: float
    p_value: float


def contradicted(answers: NewAnswers, odds: float) -> Contradicted | None:
    """Ask whether the champion is contradicted more often than `odds` times the odds that its confidence foretells.

    The exact tail of the sum of unequal chances (Poisson's binomial). None where triage drew none of the texts.
    """
    doubt = np.clip(1.0 - answers.confidence[answers.drawn].astype(np.float64), 1e-6, 1 - 1e-6)
    if not len(doubt):
        return None
    found = int(answers.contradicts[answers.drawn].sum())
    raised = odds * doubt / (1.0 - doubt + odds * doubt)
    return Contradicted(len(doubt), found, float(doubt.sum()), float(min(1.0, _numbers(raised)[found:].sum())))


def _numbers(chances: Floats) -> Floats:
    """Return the probabilities of 0, 1, …, n events of the independent `chances` `(n,)`."""
    found = np.ones(1)
    for chance in chances:
        found = np.convolve(found, (1.0 - chance, chance))
    return found


def corrected(answers: NewAnswers, limit: float) -> Corrected | None:
    """Ask whether people correct the champion to less likely labels than gold does, by a chance above `limit`.

    The Mann-Whitney statistic, against its largest variance under that chance (Hanley and McNeil 1982, "The meaning
    and use of the area under a receiver operating characteristic curve"). None without corrections, or with fewer than
    ten gold mistakes to hold against them.
    """
    given, mistakes = answers.given[answers.contradicts], answers.mistakes
    n, m = len(given), len(mistakes)
    if not n or m < LEAST_MISTAKES:
        return None
    ranks = rankdata(np.concatenate([mistakes, given]))[:m]
    chance = float((ranks.sum() - m * (m + 1) / 2) / (n * m))
    if limit >= 1:
        return Corrected(n, chance, 1.0)
    one, other = limit / (2 - limit) - limit**2, 2 * limit**2 / (1 + limit) - limit**2
    large, small = max(one, other), min(one, other)
    variance = (limit * (1 - limit) + (m - 1) * large + (n - 1) * small) / (n * m)
    return Corrected(n, chance, float(norm.sf((chance - limit) / variance**0.5)))
