"""Coefficients of agreement, against the papers' own worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.agreement import (
    cohen_interval,
    cohen_kappa,
    fleiss_interval,
    fleiss_kappa,
    krippendorff_alpha,
    krippendorff_interval,
    vote_counts,
)

# Cohen 1960, two judges, 200 cases, three categories.
COHEN = [[88, 10, 2], [14, 40, 6], [18, 10, 12]]

# Fleiss 1971, table 1: diagnoses of 30 patients by 6 psychiatrists, a digit a category.
FLEISS = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006
10050 11040 03300 10050 02031 00501 30012 51000 02040 10203
00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""

# Krippendorff 2011, four observers of twelve units; a dot is a missing answer.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]

TWO_OBSERVERS = ["aabbdcccedda", "babbbccceddd"]
TWO_OBSERVERS_BINARY = ["0100000010", "1110010000"]


def cohen_pairs() -> tuple[list[int], list[int]]:
    cells = [(a, b) for a, row in enumerate(COHEN) for b, n in enumerate(row) for _ in range(n)]
    return [a for a, _ in cells], [b for _, b in cells]


def fleiss_table() -> list[list[int]]:
    return [[int(digit) for digit in row] for row in FLEISS.split()]


def units(observers: list[str]) -> list[list[int]]:
    values = sorted(set("".join(observers)) - {"."})
    return [[unit.count(value) for value in values] for unit in zip(*observers, strict=True)]


def test_cohen_1960() -> None:
    assert cohen_kappa(*cohen_pairs()) == pytest.approx(0.492, abs=0.0005)


def test_fleiss_1971() -> None:
    assert fleiss_kappa(fleiss_table()) == pytest.approx(0.430, abs=0.0005)


@pytest.mark.parametrize(
    ("observers", "alpha"), [(OBSERVERS, 0.743), (TWO_OBSERVERS, 0.692), (TWO_OBSERVERS_BINARY, 0.095)]
)
def test_krippendorff_2011(observers: list[str], alpha: float) -> None:
    assert krippendorff_alpha(units(observers)) == pytest.approx(alpha, abs=0.0005)


def test_intervals_are_repeatable_hold_the_value_and_shrink_with_more_items() -> None:
    few, many = krippendorff_interval(units(OBSERVERS)), krippendorff_interval(units(OBSERVERS) * 20)
    assert few == krippendorff_interval(units(OBSERVERS))
    assert few.low < few.value < few.high
    assert few.low < many.low < many.value < many.high < few.high
    for found in (cohen_interval(*cohen_pairs()), fleiss_interval(fleiss_table())):
        assert found.low < found.value < found.high


def test_cohens_interval_is_as_wide_as_its_standard_error_says() -> None:
    """Cohen 1960 gives a standard error of about .055 for the example."""
    found = cohen_interval(*cohen_pairs())
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(0.055, abs=0.008)


def test_nothing_to_measure_is_nan() -> None:
    assert math.isnan(krippendorff_alpha([[3, 0], [2, 0]]))
    assert math.isnan(krippendorff_alpha(np.zeros((0, 2))))
    assert math.isnan(krippendorff_alpha([[1, 0], [0, 1]]))  # nobody saw what another saw
    assert math.isnan(cohen_kappa([1, 1], [1, 1]))
    assert math.isnan(krippendorff_interval([[3, 0]]).low)


def test_fleiss_wants_the_same_number_of_votes() -> None:
    with pytest.raises(ValueError, match="same number of votes"):
        fleiss_kappa([[2, 0], [2, 1]])


def test_values_become_counts() -> None:
    counts = vote_counts([[3, 3, "out_of_scope"], [(1, 2), (1,)], []])
    assert counts.tolist() == [[2, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
    assert math.isnan(krippendorff_alpha(vote_counts([])))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=12))
def test_full_agreement_is_one_and_nothing_is_above_it(rows: list[list[int]]) -> None:
    table = np.asarray(rows)
    alpha = krippendorff_alpha(table)
    assert math.isnan(alpha) or alpha <= 1.0 + 1e-9
    agreed = np.eye(3)[table.argmax(axis=1)] * 3
    if len(set(table.argmax(axis=1))) > 1:
        assert krippendorff_alpha(agreed) == pytest.approx(1.0)
        assert fleiss_kappa(agreed) == pytest.approx(1.0)
