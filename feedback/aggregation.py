"""Whole tables of votes made into labels: majority, Dawid and Skene's model, and votes weighted by estimated accuracy.

Arrays in, arrays out. Items, annotators and labels are numbered from 0; a person who has not seen an item simply has no
row. `feedback/posterior.py` does the same for the one item that has just been answered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_ROUNDS = 100
_SETTLED = 1e-4


@dataclass(frozen=True)
class Priors:
    """What is believed of annotators before their first answer, and how many answers that belief counts for.

    `accuracy`, 0 to 1, is anybody's, and counts for `answers`; a person's own accuracy counts for `row_answers` in each
    row of their confusion.
    """

    accuracy: float = 0.8
    answers: float = 10.0
    row_answers: float = 4.0


PRIORS = Priors()


@dataclass(frozen=True)
class Votes:
    """`items`, `annotators` and `labels` have the shape `(n_votes,)`: who said what about which item."""

    items: Ints
    annotators: Ints
    labels: Ints
    n_items: int
    n_annotators: int
    n_labels: int


@dataclass(frozen=True)
class Aggregated:
    """What a table of votes says.

    `posterior`, `(n_items, n_labels)`: probability of each label; items without votes have the prevalence.
    `accuracy`, `(n_annotators,)`: estimated share of right answers. `confusion`, `(n_annotators, n_labels, n_labels)`:
    expected number of answers by true label (rows) and given label. `prevalence`, `(n_labels,)`: share of each label.
    """

    posterior: Floats
    accuracy: Floats
    confusion: Floats
    prevalence: Floats


def majority(votes: Votes) -> Aggregated:
    """Take the share of each item's votes; ties stay ties."""
    posterior = _shares(votes)
    return _described(votes, posterior, PRIORS)


def dawid_skene(votes: Votes, *, known: Floats | None = None, priors: Priors = PRIORS) -> Aggregated:
    """Estimate everybody's confusion and every item's label together, by expectation maximisation.

    Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", with Dirichlet
    priors, so that people with few votes and rare labels are safe: a person's row leans on their own accuracy over all
    labels, that accuracy on anybody's, and the prevalence on evenness. `known`, of the shape of
    `Aggregated.confusion`, adds answers to items whose label is known.
    """
    checks = np.zeros((votes.n_annotators, votes.n_labels, votes.n_labels)) if known is None else known
    posterior = _shares(votes)
    if known is not None:  # what is known is a better start than the majority, which may all make the same mistake
        posterior = _expected(votes, _rows(checks, priors), _prevalence(posterior))
    for _ in range(_MOST_ROUNDS):
        before = posterior
        counts = _counted(votes, posterior) + checks
        posterior = _expected(votes, _rows(counts, priors), _prevalence(posterior))
        if np.abs(posterior - before).max(initial=0.0) < _SETTLED:
            break
    return _described(votes, posterior, priors)


def weighted_vote(votes: Votes, *, known: Floats | None = None, priors: Priors = PRIORS) -> Aggregated:
    """Weigh each vote by its giver's log-odds of being right, and estimate those from the outcome, until both settle.

    The same model with one number a person ("one coin") in place of a confusion; errors are spread evenly.
    """
    posterior = _shares(votes)
    checks = np.zeros((votes.n_annotators, votes.n_labels, votes.n_labels)) if known is None else known
    even = np.full(votes.n_labels, 1.0 / votes.n_labels)
    for _ in range(_MOST_ROUNDS):
        before = posterior
        accuracy = _accuracy(_counted(votes, posterior) + checks, priors)
        posterior = _expected(votes, _one_coin(accuracy, votes.n_labels), even)
        if np.abs(posterior - before).max(initial=0.0) < _SETTLED:
            break
    return _described(votes, posterior, priors)


def _shares(votes: Votes) -> Floats:
    """Return each item's votes by label as shares, `(n_items, n_labels)`; even where there are none."""
    cells = votes.items * votes.n_labels + votes.labels
    counts = np.bincount(cells, minlength=votes.n_items * votes.n_labels).reshape(votes.n_items, votes.n_labels)
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1), 1.0 / votes.n_labels)


def _summed(groups: Ints, n_groups: int, values: Floats) -> Floats:
    """Sum `values`, `(n_votes, n_labels)`, by group: `(n_groups, n_labels)`."""
    sums = np.zeros((n_groups, values.shape[1]))
    if len(groups):
        order = np.argsort(groups, kind="stable")
        present, starts = np.unique(groups[order], return_index=True)
        sums[present] = np.add.reduceat(values[order], starts, axis=0)
    return sums


def _counted(votes: Votes, posterior: Floats) -> Floats:
    """Return expected answers by annotator, true label and given label."""
    cells = votes.annotators * votes.n_labels + votes.labels
    sums = _summed(cells, votes.n_annotators * votes.n_labels, posterior[votes.items])
    return sums.reshape(votes.n_annotators, votes.n_labels, votes.n_labels).swapaxes(1, 2)


def _accuracy(counts: Floats, priors: Priors) -> Floats:
    """Return the mean of the Beta posterior of each annotator's accuracy, `(n_annotators,)`."""
    right = np.trace(counts, axis1=1, axis2=2)
    accuracy: Floats = (priors.accuracy * priors.answers + right) / (priors.answers + counts.sum(axis=(1, 2)))
    return accuracy


def _one_coin(accuracy: Floats, n_labels: int) -> Floats:
    """Return confusions with `accuracy` on the diagonal and the errors spread evenly."""
    errors = (1.0 - accuracy) / (n_labels - 1)
    return np.where(np.eye(n_labels, dtype=bool), accuracy[:, None, None], errors[:, None, None])


def _rows(counts: Floats, priors: Priors) -> Floats:
    """Return each row of each confusion as probabilities, leaning on the person's accuracy over all labels."""
    leaning = priors.row_answers * _one_coin(_accuracy(counts, priors), counts.shape[1])
    rows: Floats = (counts + leaning) / (counts.sum(axis=2, keepdims=True) + priors.row_answers)
    return rows


def _prevalence(posterior: Floats) -> Floats:
    """Return the share of each label, leaning on evenness with the weight of one item a label."""
    shares: Floats = (posterior.sum(axis=0) + 1.0) / (len(posterior) + posterior.shape[1])
    return shares


def _expected(votes: Votes, rows: Floats, prevalence: Floats) -> Floats:
    """Return each item's posterior, given confusions and prevalence; sums are of logarithms."""
    by_answer = np.ascontiguousarray(np.log(rows).swapaxes(1, 2)).reshape(-1, votes.n_labels)
    spoken = by_answer[votes.annotators * votes.n_labels + votes.labels]
    scores = np.log(prevalence) + _summed(votes.items, votes.n_items, spoken)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior: Floats = odds / odds.sum(axis=1, keepdims=True)
    return posterior


def _described(votes: Votes, posterior: Floats, priors: Priors) -> Aggregated:
    counts = _counted(votes, posterior)
    return Aggregated(posterior, _accuracy(counts, priors), counts, _prevalence(posterior))
