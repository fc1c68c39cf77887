from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paired import new_answers
from training.plausible import contradicted, corrected

ALL = np.ones(30, dtype=np.bool_)


def test_contradictions_by_hand() -> None:
    """Three texts of confidence 0.9, 0.6 and 0.5: the chance that at least two are contradicted."""
    chances = [0.1, 0.4, 0.5]
    by_hand = sum(
        float(np.prod([chance if hit else 1 - chance for chance, hit in zip(chances, hits, strict=True)]))
        for hits in product([True, False], repeat=3)
        if sum(hits) >= 2
    )
    found = contradicted(
        new_answers(1 - np.array(chances), np.full(3, 0.1), np.array([True, True, False])),
        odds=1.0,
    )
    assert found is not None
    assert (found.n, found.found) == (3, 2)
    assert found.expected == pytest.approx(1.0)
    assert found.p_value == pytest.approx(by_hand)


def test_higher_odds_forgive_more() -> None:
    answers = new_answers(np.full(30, 0.6), np.full(30, 0.2), np.arange(30) < 20)
    p_values = [found.p_value for odds in (1.0, 2.0, 4.0) if (found := contradicted(answers, odds))]
    assert p_values[0] < 0.01 < p_values[1] < p_values[2]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_calibrated_champion_is_contradicted_as_its_confidence_says(
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.3, 1.0, size=200)
    found = contradicted(new_answers(confidence, np.full(200, 0.1), random.random(200) > confidence), 2.0)
    assert found is not None
    assert found.p_value > 0.01


def test_texts_that_triage_did_not_choose_foretell_nothing() -> None:
    assert contradicted(new_answers(np.full(30, 0.99), np.full(30, 0.001), ALL, drawn=False), 2.0) is None


def test_corrections_like_those_of_gold_are_believed() -> None:
    alike = corrected(new_answers(np.full(30, 0.5), np.linspace(0.0, 0.5, 30), ALL, drawn=False), 0.55)
    assert alike is not None
    assert alike.chance == pytest.approx(0.5, abs=0.02)
    assert alike.p_value > 0.5


def test_corrections_to_labels_that_were_out_of_the_question_are_not() -> None:
    wild = corrected(new_answers(np.full(30, 0.95), np.full(30, 0.005), ALL, drawn=False), 0.55)
    assert wild is not None
    assert wild.chance == pytest.approx(0.98)
    assert wild.p_value < 1e-6


def test_few_corrections_are_not_judged_by_one() -> None:
    wild = corrected(new_answers(np.full(1, 0.95), np.full(1, 0.0001), ALL[:1]), 0.55)
    assert wild is not None
    assert wild.p_value > 0.05


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.55, 0.7]),
)
def test_likelier_labels_are_never_less_believed(given_by: list[float], limit: float) -> None:
    some = np.array(given_by)
    flags = np.ones(len(some), dtype=np.bool_)
    before = corrected(new_answers(np.full(len(some), 0.5), some, flags), limit)
    after = corrected(new_answers(np.full(len(some), 0.5), np.minimum(some + 0.1, 1.0), flags), limit)
    assert before is not None
    assert after is not None
    assert after.p_value >= before.p_value - 1e-12


def test_confirmations_correct_nothing() -> None:
    assert corrected(new_answers(np.full(30, 0.9), np.full(30, 0.9), ~ALL), 0.55) is None
