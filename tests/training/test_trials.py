"""What becomes of a candidate on trial, by what was counted of it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad  # type: ignore[import-untyped]

from feedback.trial_corrections import Corrected
from feedback.trial_figures import EDGES_MS, BySide, SideFigures, in_all
from feedback.trials import Trial
from tasks.declaration import TrialPlan
from training.trials import Move, Part, Seen, evidence, first_part, next_move, part_after

BEGAN = datetime(2031, 5, 4, 12, tzinfo=UTC)
PLAN = TrialPlan(
    shadow_share=0.1,
    shadow_minutes=10,
    shadow_texts=100,
    least_agreement=0.9,
    canary_shares=[0.05, 0.25],
    canary_minutes=10,
    canary_texts=100,
    error_rise=0.001,
    correction_rise=0.01,
    most_hours=5,
)
ENOUGH: dict[str, Any] = {"requests": 100, "texts": 100}


def trial(kind: Any = "canary", **more: Any) -> Trial:
    values: dict[str, Any] = {
        "share": 0.05,
        "step": 1,
        "status": "open",
        "message": "",
        "since": BEGAN,
        "created_at": BEGAN,
    }
    about = {"id": "t", "task": "mail", "run_id": "r", "kind": kind, "version": "v2", "champion": "v1"}
    return Trial(**(about | values | {"finished_at": None} | more))


def step(candidate: dict[str, Any], champion: dict[str, Any] | None = None) -> BySide:
    other = champion if champion is not None else {"requests": 1900, "texts": 1900}
    return {"candidate": SideFigures(**candidate), "champion": SideFigures(**other)}


def move(steps: dict[int, BySide], minutes: float = 11, *, plan: TrialPlan = PLAN, **more: Any) -> Move:
    corrections = more.pop("corrections", None)
    return next_move(trial(**more), plan, Seen(BEGAN + timedelta(minutes=minutes), steps, corrections))


def test_where_no_trial_is_asked_for_there_is_none() -> None:
    assert first_part(TrialPlan(), "full") is None
    assert first_part(PLAN, "full") == Part("shadow", 0.1)
    assert first_part(TrialPlan(canary_shares=[0.2]), "fast") == Part("canary", 0.2)
    assert first_part(TrialPlan(canary_shares=[0.2], fast=False), "fast") is None
    assert part_after("shadow", PLAN) == Part("canary", 0.05)
    assert part_after("shadow", TrialPlan(shadow_share=1.0)) is None
    assert part_after("canary", PLAN) is None


@pytest.mark.parametrize("shares", [[0.0], [1.0], [0.5, 0.2], [0.2, 0.2], [-0.1]])
def test_shares_rise_and_leave_something_to_the_champion(shares: list[float]) -> None:
    with pytest.raises(ValidationError, match="canary_shares"):
        TrialPlan(canary_shares=shares)


def test_steps_of_a_canary() -> None:
    assert move({}).action == "wait"
    assert move({1: step(ENOUGH)}, minutes=9).action == "wait", "the step has not lasted long enough"
    assert move({1: step(ENOUGH | {"texts": 99})}).action == "wait", "the candidate has not answered enough"
    onward = move({1: step(ENOUGH)})
    assert (onward.action, onward.share) == ("raise", 0.25)
    second: dict[str, Any] = {"share": 0.25, "step": 2, "since": BEGAN + timedelta(minutes=20)}
    steps = {1: step(ENOUGH), 2: step(ENOUGH)}
    assert move(steps, minutes=25, **second).action == "wait"
    assert move(steps, minutes=31, **second).action == "pass"
    assert move({1: step(ENOUGH)}, plan=PLAN.model_copy(update={"canary_shares": []})).action == "pass"


def test_too_little_traffic_is_given_up() -> None:
    given_up = move({1: step({"requests": 3, "texts": 3})}, minutes=301)
    assert given_up.action == "give_up"
    assert "3 of at least 100 texts" in given_up.message
    assert move({1: step(ENOUGH)}, minutes=301).action == "raise", "it has seen enough, if late"


def test_a_candidate_that_fails_more_often_is_stopped_at_once() -> None:
    two = move({1: step({"requests": 40, "texts": 38, "errors": 2}, {"requests": 760, "texts": 760})}, minutes=1)
    assert two.action == "fail"
    assert "2 of 40" in two.message
    one = {1: step({"requests": 40, "texts": 39, "errors": 1}, {"requests": 760, "texts": 760})}
    assert move(one, minutes=1).action == "wait", "one error may be chance"
    both = {1: step({"requests": 40, "texts": 38, "errors": 2}, {"requests": 760, "texts": 720, "errors": 40})}
    assert move(both, minutes=1).action == "wait", "the champion fails as often"
    lax = PLAN.model_copy(update={"error_rise": 0.2})
    assert move({1: step({"requests": 40, "texts": 38, "errors": 2})}, minutes=1, plan=lax).action == "wait"
    assert move({1: step({"broken": 1})}, minutes=1).action == "fail"


def test_evidence_of_steps_adds_up() -> None:
    half = step({"requests": 500, "texts": 497, "errors": 3}, {"requests": 500, "texts": 500})
    assert move({1: half}, minutes=1).action == "wait"
    steps = dict.fromkeys(range(1, 6), half)
    assert move(steps, minutes=1, step=5).action == "fail"


def test_a_shadow_passes_by_agreement() -> None:
    agreed = {"texts": 200, "agreements": 190}
    passed = move({1: step(agreed, {"texts": 200})}, kind="shadow")
    assert passed.action == "pass"
    assert "95.0%" in passed.message
    chance = {"texts": 200, "agreements": 176}
    assert move({1: step(chance, {"texts": 200})}, kind="shadow").action == "pass", "88 % of 200 may be 90 %"
    failed = move({1: step({"texts": 200, "agreements": 140}, {"texts": 200})}, kind="shadow", minutes=1)
    assert failed.action == "fail"
    assert "70.0%" in failed.message
    assert move({1: step({"texts": 50, "errors": 40}, {"texts": 50})}, kind="shadow").action == "fail"


def test_corrections_stop_a_canary() -> None:
    steps = {1: step(ENOUGH)}

    def said(candidate: tuple[int, int, int], champion: tuple[int, int, int]) -> Move:
        return move(steps, corrections={"candidate": Corrected(*candidate), "champion": Corrected(*champion)})

    assert said((1000, 100, 60), (9000, 900, 90)).action == "fail"
    assert "6.00% of 1,000" in said((1000, 100, 60), (9000, 900, 90)).message
    assert said((1000, 100, 12), (9000, 900, 90)).action == "raise", "a point more is allowed"
    assert said((100, 10, 3), (900, 90, 9)).action == "raise", "three of ten may be chance"
    assert said((1000, 600, 60), (9000, 900, 90)).action == "raise", "who asks more is corrected more"
    assert said((1000, 20, 10), (9000, 900, 90)).action == "raise", "who asks only what is hard is corrected on more"
    assert said((1000, 0, 0), (9000, 900, 90)).action == "raise"


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.02, 0.98))
def test_evidence_is_the_averaged_likelihood_ratio(events: int, others: int, p0: float) -> None:
    def ratio(p: float) -> float:
        return float(np.exp(events * np.log(p / p0) + others * np.log((1 - p) / (1 - p0))))

    mean = quad(ratio, p0, 1, limit=200)[0] / (1 - p0)
    found = evidence(events, events + others, p0)
    assert found == pytest.approx(math.log(mean), abs=1e-3) if mean > 1e-12 else found < -25


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.01, 0.99))
def test_more_events_are_more_evidence(events: int, others: int, p0: float) -> None:
    assert evidence(events + 1, events + others + 1, p0) > evidence(events, events + others, p0) - 1e-9
    assert evidence(events, events + others + 1, p0) < evidence(events, events + others, p0) + 1e-9


@pytest.mark.parametrize("p0", [0.05, 0.25, 0.5])
def test_an_equal_candidate_rarely_fails_however_often_one_looks(p0: float) -> None:
    random, limit, failed = np.random.default_rng(5), -math.log(0.05), 0
    for _ in range(400):
        events = np.cumsum(random.random(150) < p0)
        failed += any(evidence(int(k), n, p0) >= limit for n, k in enumerate(events, 1))
    assert failed <= 0.05 * 400 + 3 * math.sqrt(400 * 0.05 * 0.95)


def test_a_much_worse_candidate_is_found() -> None:
    random, found = np.random.default_rng(6), 0
    for _ in range(100):
        candidate, champion = int(random.binomial(1000, 0.05)), int(random.binomial(9000, 0.01))
        found += evidence(candidate, candidate + champion, 0.1) >= -math.log(0.01)
    assert found >= 95


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=50), st.floats(0.01, 1))
def test_percentiles_of_the_histogram(milliseconds: list[float], share: float) -> None:
    took = [0] * (len(EDGES_MS) + 1)
    for one in milliseconds:
        took[sum(one > edge for edge in EDGES_MS)] += 1
    figures = SideFigures(milliseconds=sum(milliseconds), took=took)
    found = figures.percentile_ms(share)
    assert found is not None
    within = sum(one <= found for one in milliseconds)
    assert within >= share * len(milliseconds) - 1e-6
    assert figures.mean_ms == pytest.approx(np.mean(milliseconds))


def test_figures_of_all_steps() -> None:
    random = Random(1)
    each = [SideFigures(random.randrange(9), random.randrange(9), took=[number] * 13) for number in range(3)]
    whole = in_all(dict(enumerate({"candidate": one} for one in each)), "candidate")
    assert whole.requests == sum(one.requests for one in each)
    assert list(whole.took) == [3] * 13
    assert in_all({}, "champion") == SideFigures()
