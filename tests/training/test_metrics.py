from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score

from training import metrics

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@settings(deadline=None)
@given(pairs)
def test_scores_agree_with_scikit_learn(answers: list[tuple[int, int]]) -> None:
    truth, chosen = (np.array(column, dtype=np.int64) for column in zip(*answers, strict=True))
    confusion = metrics.confusion_matrix(truth, chosen, 5)
    assert confusion.tolist() == confusion_matrix(truth, chosen, labels=range(5)).tolist()
    assert metrics.accuracy(confusion) == pytest.approx(accuracy_score(truth, chosen))
    for name, found in metrics.averages(confusion).items():
        expected = precision_recall_fscore_support(truth, chosen, average=name, zero_division=0)
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3])
    table = precision_recall_fscore_support(truth, chosen, labels=range(5), zero_division=0)
    for at, score in enumerate(metrics.label_scores(confusion)):
        assert (score.precision, score.recall, score.f1, score.support) == pytest.approx([part[at] for part in table])


@settings(deadline=None)
@given(
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30),
)
def test_auroc_agrees_with_scikit_learn(inside: list[float], outside: list[float]) -> None:
    truth = [0] * len(inside) + [1] * len(outside)
    assert metrics.auroc(np.array(inside), np.array(outside)) == pytest.approx(roc_auc_score(truth, inside + outside))


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    targets = np.array([0, 1, 0, 1])
    expected = (2 * abs(0.5 - 0.9) + abs(1 - 0.6) + abs(1 - 0.7)) / 4
    assert metrics.expected_calibration_error(probabilities, targets) == pytest.approx(expected)


def test_nothing_to_measure_is_nan() -> None:
    empty = np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
    assert math.isnan(metrics.expected_calibration_error(*empty))
    assert math.isnan(metrics.accuracy(np.zeros((3, 3), dtype=np.int64)))
    assert math.isnan(metrics.auroc(np.zeros(0), np.ones(3)))


def test_interval_is_seeded_and_holds_the_accuracy() -> None:
    right = np.arange(200) % 10 > 0
    low, high = metrics.bootstrap_interval(right, seed=3)
    assert (low, high) == metrics.bootstrap_interval(right, seed=3)
    assert 0.8 < low < 0.9 < high < 1.0
