"""Tables of votes made into labels: on made-up crowds whose truth is known, and on a real one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import crowd as real
from feedback.aggregation import Aggregated, Votes, dawid_skene, majority, weighted_vote
from tests.support.data import public_file

Method = Callable[[Votes], Aggregated]


def made_up(accuracies: list[float], n_items: int, n_labels: int, seed: int) -> tuple[Votes, list[int]]:
    """Everybody votes on everything, with their own accuracy; errors are even."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, n_labels, n_items)
    labels = np.stack(
        [
            np.where(random.random(n_items) < one, truth, (truth + random.integers(1, n_labels, n_items)) % n_labels)
            for one in accuracies
        ],
        axis=1,
    )
    items = np.repeat(np.arange(n_items), len(accuracies))
    people = np.tile(np.arange(len(accuracies)), n_items)
    return Votes(items, people, labels.ravel(), n_items, len(accuracies), n_labels), truth.tolist()


def share_right(found: Aggregated, truth: list[int]) -> float:
    return float((found.posterior.argmax(axis=1) == truth).mean())


def test_majority_keeps_ties_open() -> None:
    votes = Votes(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2]), np.array([0, 1, 2, 2, 0]), 3, 3, 3)
    assert majority(votes).posterior.tolist() == pytest.approx(
        np.array([[0.5, 0.5, 0], [1 / 3, 0, 2 / 3], [1 / 3, 1 / 3, 1 / 3]])
    )


@pytest.mark.parametrize("method", [dawid_skene, weighted_vote])
def test_one_good_annotator_among_poor_ones_is_found(method: Method) -> None:
    accuracies = [0.97, 0.6, 0.6, 0.55, 0.55]
    votes, truth = made_up(accuracies, 600, 2, seed=3)
    found = method(votes)
    assert share_right(found, truth) > share_right(majority(votes), truth) + 0.05
    assert found.accuracy.tolist() == pytest.approx(accuracies, abs=0.12)


def test_dawid_skene_reads_systematic_mistakes() -> None:
    """Two of three call every 2 a 1: majority is wrong on each, their confusions are not."""
    truth = np.array([0, 1, 2] * 100)
    blind = np.where(truth == 2, 1, truth)
    labels = np.stack([blind, blind, truth], axis=1)
    votes = Votes(np.repeat(np.arange(300), 3), np.tile(np.arange(3), 300), labels.ravel(), 300, 3, 3)
    known = np.zeros((3, 3, 3))
    known[:2, 2, 1], known[2, 2, 2], known[:, 1, 1] = 8, 8, 8
    found = dawid_skene(votes, known=known)
    assert share_right(majority(votes), truth.tolist()) < 0.7
    assert share_right(found, truth.tolist()) == 1.0
    assert found.confusion[0, 2, 1] == pytest.approx(100, abs=2)


def test_people_with_one_vote_are_believed_as_anybody_is() -> None:
    votes = Votes(np.array([0, 0, 0]), np.array([0, 1, 2]), np.array([1, 1, 0]), 1, 3, 2)
    found = dawid_skene(votes)
    assert 0.75 < found.posterior[0, 1] < 0.97
    assert np.all(np.abs(found.accuracy - 0.8) < 0.1)


@pytest.mark.parametrize("method", [majority, dawid_skene, weighted_vote])
def test_no_votes_say_nothing(method: Method) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    found = method(Votes(nothing, nothing, nothing, 2, 1, 4))
    assert found.posterior.tolist() == pytest.approx(np.full((2, 4), 0.25))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=30, unique_by=lambda v: v[:2])
)
def test_posteriors_are_probabilities_and_labels_are_only_names(said: list[tuple[int, int, int]]) -> None:
    table = np.array(said, dtype=np.int64).reshape(-1, 3)
    votes = Votes(table[:, 0], table[:, 1], table[:, 2], 6, 4, 3)
    turned = Votes(table[:, 0], table[:, 1], (table[:, 2] + 1) % 3, 6, 4, 3)
    for method in (majority, dawid_skene, weighted_vote):
        found = method(votes).posterior
        assert found.sum(axis=1).tolist() == pytest.approx([1.0] * 6)
        assert method(turned).posterior == pytest.approx(np.roll(found, 1, axis=1), abs=1e-3)


def test_real_votes() -> None:
    """`benchmarks/crowd.py` in short: fewer orders, the same promises."""
    public_file("snow_rte/votes.tsv")
    crowd = real.read_crowd()
    best = {votes: real.accuracy(crowd, dawid_skene, votes, 5) for votes in (3, 5, 10)}
    plain = {votes: real.accuracy(crowd, majority, votes, 5) for votes in (3, 5, 10)}
    assert best[10] >= max(real.PUBLISHED, real.accuracy(crowd, real.plain_dawid_skene, 10, 1)) - 0.3
    assert all(best[votes] >= plain[votes] - 1 for votes in best)
    asked = real.adaptive(crowd, real.CHOSEN, 4)
    assert asked.votes <= 5
    assert asked.accuracy >= best[10] - 1
