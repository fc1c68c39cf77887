from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]

from benchmarks.risk import POPULATIONS, Population, calibrate_once
from training.risk import (
    Answers,
    TradeOff,
    certify,
    choose_thresholds,
    declare_path,
    fewest_rows,
    rows_needed,
    weigh,
)

PATH = np.array([0.9, 0.6, 0.3])


def answers(n: int, wrong: int, confidence: float = 0.95, out_of_scope: float = 0.0) -> Answers:
    return Answers(np.full(n, confidence), np.full(n, out_of_scope), np.arange(n) < wrong)


def trade_off(*steps: tuple[int, int]) -> TradeOff:
    answered, errors = (np.array(counts, dtype=np.int64) for counts in zip(*steps, strict=True))
    return TradeOff(np.linspace(0.9, 0.1, len(steps)), answered, errors, np.ones(len(steps)), int(answered[-1]), 0)


@pytest.mark.parametrize("population", POPULATIONS, ids=lambda population: population.name)
def test_the_promise_is_broken_no_more_often_than_stated(population: Population) -> None:
    failed = sum(calibrate_once(population, seed).broken for seed in range(400))
    assert binomtest(failed, 400, 0.05, alternative="greater").pvalue > 0.001


def test_a_promise_without_a_test_is_broken_far_more_often() -> None:
    """The populations bind: thresholds at which the observed error is just accepted fail about every second time."""
    failed = sum(calibrate_once(POPULATIONS[0], seed).naive_broken for seed in range(200))
    assert failed > 40


def test_fewest_rows_are_59() -> None:
    assert fewest_rows(0.05, 0.95) == 59
    assert certify(trade_off((58, 0)), 0.05, 0.95) is None
    assert certify(trade_off((59, 0)), 0.05, 0.95) == 0


@given(st.floats(0.01, 0.5), st.floats(0.6, 0.99), st.integers(0, 50))
def test_nothing_is_certified_by_no_answer(max_error: float, confidence: float, n: int) -> None:
    chosen = choose_thresholds(PATH, answers(n, 0, confidence=0.1), 0, max_error, confidence)
    assert not chosen.risk.certified
    assert chosen.trust == pytest.approx(1.0 - max_error)
    assert chosen.risk.more_needed is not None
    assert chosen.risk.more_needed > 0


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 100), st.integers(0, 500))
def test_more_right_rows_or_fewer_errors_never_lose_a_certificate(n: int, errors: int, more: int) -> None:
    errors = min(errors, n)
    if certify(trade_off((n, errors)), 0.05, 0.95) is not None:
        assert certify(trade_off((n + more, errors)), 0.05, 0.95) is not None
        assert certify(trade_off((n, errors - min(errors, more))), 0.05, 0.95) is not None
        assert certify(trade_off((n, errors)), 0.06, 0.95) is not None
        assert certify(trade_off((n, errors)), 0.05, 0.9) is not None


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 60)), min_size=1, max_size=12))
def test_what_comes_after_a_failure_is_not_looked_at(steps: list[tuple[int, int]]) -> None:
    totals = np.cumsum(np.array(steps), axis=0)
    path = trade_off(*((int(n), int(min(n, wrong))) for n, wrong in totals))
    found = certify(path, 0.05, 0.95)
    for place in range(-1 if found is None else found, len(steps)):
        prefix = trade_off(*((int(n), int(min(n, wrong))) for n, wrong in totals[: place + 1])) if place >= 0 else None
        expected = None if found is None else found
        assert prefix is None or certify(prefix, 0.05, 0.95) == expected


def test_an_answered_out_of_scope_text_is_an_error_and_a_suspected_one_is_not() -> None:
    inside = answers(200, 0)
    for score, errors in ((0.05, 30), (0.8, 0)):
        rows = Answers(
            np.concatenate([inside.confidence, np.full(30, 0.95)]),
            np.concatenate([inside.out_of_scope, np.full(30, score)]),
            np.concatenate([inside.wrong, np.full(30, True)]),
        )
        found = weigh(PATH, rows, 30, 0.95)
        assert found.errors.tolist() == [errors] * 3
        assert (certify(found, 0.05, 0.95) is None) == bool(errors)


def test_the_thresholds_are_those_that_were_tested() -> None:
    rows = Answers(
        np.concatenate([np.full(300, 0.97), np.full(300, 0.7)]),
        np.zeros(600),
        np.concatenate([np.zeros(300, dtype=bool), np.arange(300) < 90]),
    )
    chosen = choose_thresholds(PATH, rows, 0, 0.05, 0.95)
    assert chosen.risk.certified
    assert chosen.trust == 0.9
    assert (chosen.risk.answered, chosen.risk.errors) == (300, 0)
    assert "none of them out of scope" in chosen.risk.note
    assert chosen.trade_off.errors.tolist() == [0, 90, 90]
    assert chosen.trade_off.most_error[0] == pytest.approx(1 - 0.05 ** (1 / 300))


@pytest.mark.parametrize(("n", "errors"), [(60, 1), (100, 2), (30, 0), (500, 20)])
def test_as_many_rows_as_are_said_to_be_needed_suffice(n: int, errors: int) -> None:
    found = trade_off((n, errors))
    assert certify(found, 0.05, 0.95) is None
    more = rows_needed(found, 0.05, 0.95)
    assert more is not None
    share = errors / n if n >= 59 else 0.0
    total = n + more
    assert certify(trade_off((total, int(share * total))), 0.05, 0.95) == 0
    nearly = n + more - max(2, more // 20)
    assert certify(trade_off((nearly, int(np.ceil(share * nearly)))), 0.05, 0.95) is None


def test_no_number_of_rows_helps_a_bad_model() -> None:
    assert rows_needed(trade_off((200, 30)), 0.05, 0.95) is None
    chosen = choose_thresholds(PATH, answers(200, 30), 0, 0.05, 0.95)
    assert chosen.risk.more_needed is None
    assert "not certified" in chosen.risk.note
    assert chosen.trust == pytest.approx(0.95)


def test_the_path_begins_where_something_can_be_shown() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.beta(8, 1, 1000)
    others = Answers(confidence, np.zeros(1000), rng.uniform(size=1000) > confidence)
    path = declare_path(others, 400, 0.05, 0.95)
    assert (np.diff(path) < 0).all()
    first, last = others.answered(float(path[0])).mean(), others.answered(float(path[-1])).mean()
    assert 0.25 <= first <= 0.65
    assert last == 1.0
    few = Answers(confidence[:5], np.zeros(5), np.zeros(5, dtype=bool))
    assert len(declare_path(few, 400, 0.05, 0.95)) == 99
