from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.declaration import GateLimits
from tests.support.paired import LABELS, evidence_of, flips, new_answers, pair_of
from training.gate import Verdict, judge
from training.paired import OUTSIDE, Pair

LIMITS = GateLimits()
SUPERIORITY = GateLimits(test="superiority")
LENIENT = GateLimits(calibration=1.0)
"""Calibration may get worse where answers get better, so that properties of all else are asked for without it."""
RANK = {"fail": 0, "inconclusive": 1, "pass": 2}


def failing(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome == "fail"]


def swapped(pair: Pair) -> Pair:
    return replace(pair, champion=pair.candidate, candidate=pair.champion)


def test_a_candidate_that_changes_little_passes() -> None:
    verdict = judge(evidence_of(flips(900, 8, 6)), LIMITS)
    assert verdict.decision == "pass"
    assert verdict.reasons == []
    assert verdict.more_gold is None


def test_a_much_worse_candidate_fails_and_says_why() -> None:
    verdict = judge(evidence_of(flips(900, 10, 60)), LIMITS)
    assert verdict.decision == "fail"
    assert "accuracy" in failing(verdict)
    assert "60 wrong" in next(reason for reason in verdict.reasons if reason.startswith("accuracy"))


def test_too_few_rows_are_inconclusive_and_tell_how_many_would_do() -> None:
    verdict = judge(evidence_of(flips(300, 8, 10)), LIMITS)
    assert verdict.decision == "inconclusive"
    assert verdict.more_gold is not None
    for share, decision in ((0.8, "inconclusive"), (1.1, "pass")):
        n = 300 + round(share * verdict.more_gold)
        assert judge(evidence_of(flips(n, round(n * 8 / 300), round(n / 30))), LIMITS).decision == decision


def test_superiority_wants_more_than_no_loss() -> None:
    assert judge(evidence_of(flips(1000, 40, 20)), SUPERIORITY).decision == "pass"
    assert judge(evidence_of(flips(1000, 22, 20)), SUPERIORITY).decision == "inconclusive"
    assert judge(evidence_of(flips(1000, 20, 40)), SUPERIORITY).decision == "fail"


def test_equal_models_can_never_be_told_apart() -> None:
    verdict = judge(evidence_of(flips(1000, 20, 20)), SUPERIORITY)
    assert verdict.decision == "inconclusive"
    assert verdict.more_gold is None


def test_without_gold_nothing_is_shown() -> None:
    nobody = np.zeros(0, dtype=np.bool_)
    empty = pair_of(nobody, nobody)
    verdict = judge(evidence_of(empty, folds=flips(5000, 5, 5)), LIMITS)
    assert verdict.decision == "inconclusive"
    assert verdict.more_gold is not None
    assert verdict.more_gold > 0


def test_cross_validated_rows_help_a_small_gold_set() -> None:
    gold = flips(120, 1, 1)
    assert judge(evidence_of(gold), LIMITS).decision == "inconclusive"
    assert judge(evidence_of(gold, folds=flips(4000, 20, 18)), LIMITS).decision == "pass"


def test_cross_validated_rows_are_not_asked_where_there_is_gold_enough() -> None:
    gold = flips(1000, 30, 32)
    asked = LIMITS.model_copy(update={"small_gold": 1000})
    alone, joined = (judge(evidence_of(gold, folds=folds), asked) for folds in (None, flips(5000, 5, 5)))
    assert alone.as_json() == joined.as_json()


def test_cross_validated_rows_cannot_outvote_gold() -> None:
    verdict = judge(evidence_of(flips(500, 2, 14), folds=flips(20_000, 20, 20)), LIMITS)
    assert verdict.decision == "fail"


def test_a_loss_that_is_sure_and_within_the_margin_passes_with_cross_validated_rows_as_without() -> None:
    gold = flips(1040, 2, 9)
    assert judge(evidence_of(gold), LIMITS).decision == "pass"
    assert judge(evidence_of(gold, folds=flips(400, 0, 2)), LIMITS).decision == "pass"


def test_near_copies_do_not_count_twice() -> None:
    once = flips(300, 2, 2)
    champion, candidate = (np.tile(one.chosen == once.targets, 4) for one in (once.champion, once.candidate))
    copies = pair_of(champion, candidate, np.tile(once.targets, 4), np.tile(np.arange(300), 4))
    strict = LIMITS.model_copy(update={"margin": 0.01})
    assert judge(evidence_of(once), strict).decision == "inconclusive"
    assert judge(evidence_of(copies), strict).decision == "inconclusive"
    assert judge(evidence_of(replace(copies, groups=np.arange(1200))), strict).decision == "pass"


def test_a_label_that_is_ruined_fails_whatever_the_rest_gains() -> None:
    targets = np.arange(1000) % 4
    champion = np.arange(1000) % 10 < 8
    candidate = champion | (targets != 2)
    candidate[np.flatnonzero((targets == 2) & champion)[:30]] = False
    verdict = judge(evidence_of(pair_of(champion, candidate, targets)), LENIENT)
    assert failing(verdict) == ["labels"]
    assert "'password'" in verdict.reasons[0]


def test_many_negative_flips_fail_though_accuracy_rises() -> None:
    verdict = judge(evidence_of(flips(1000, 110, 90)), LENIENT)
    assert "negative_flips" in failing(verdict)


def test_confidence_that_loses_its_meaning_fails() -> None:
    gold = flips(1000, 5, 5)
    boastful = replace(gold.candidate, confidence=np.full(1000, 0.99))
    assert failing(judge(evidence_of(replace(gold, candidate=boastful)), LIMITS)) == ["calibration"]


def test_a_blind_out_of_scope_score_fails() -> None:
    right = np.arange(400) % 5 > 0
    targets = np.where(np.arange(400) < 60, OUTSIDE, np.arange(400) % 4)
    gold = pair_of(right, right, targets)
    scores = np.random.default_rng(0).random(400)
    blind = replace(gold, candidate=replace(gold.candidate, out_of_scope=scores))
    assert failing(judge(evidence_of(blind), LIMITS)) == ["out_of_scope"]
    assert judge(evidence_of(gold), LIMITS).decision == "pass"


def test_audits_count_by_what_they_stand_for() -> None:
    audit = flips(60, 0, 12)
    heavy = np.where(np.arange(60) < 12, 50.0, 1.0)
    for weights in (None, np.full(60, 50.0)):
        verdict = judge(evidence_of(flips(900, 8, 6), audit=replace(audit, weights=weights)), LIMITS)
        assert failing(verdict) == ["audit"]
    found = judge(evidence_of(flips(900, 8, 6), audit=replace(audit, weights=heavy)), LIMITS)
    assert next(check for check in found.checks if check.name == "audit").figures["gain"] == pytest.approx(-600 / 648)


def test_forgetting_past_corrections_fails() -> None:
    assert failing(judge(evidence_of(flips(900, 8, 6), corrections=flips(80, 0, 15)), LIMITS)) == ["corrections"]


def test_thirty_wrong_answers_fail_though_gold_does_not_notice() -> None:
    gold, every = flips(900, 8, 6), np.ones(30, dtype=np.bool_)
    wrong = new_answers(np.full(30, 0.6), np.full(30, 0.01), every)
    assert set(failing(judge(evidence_of(gold, answers=wrong), LIMITS))) == {"contradictions", "plausibility"}
    right = new_answers(np.full(30, 0.6), np.linspace(0.02, 0.5, 30), np.arange(30) < 13)
    assert judge(evidence_of(gold, answers=right), LIMITS).decision == "pass"


def test_small_steps_do_not_add_up_to_a_slide() -> None:
    gold = flips(900, 4, 8)
    assert judge(evidence_of(gold), LIMITS).decision == "pass"
    verdict = judge(evidence_of(gold, ancestor=flips(900, 10, 35), ancestor_version="v1"), LIMITS)
    assert failing(verdict) == ["ancestor"]
    assert "v1" in verdict.reasons[0]
    unsure = judge(evidence_of(gold, ancestor=flips(500, 20, 27), ancestor_version="v1"), LIMITS)
    assert unsure.decision == "inconclusive"


@pytest.mark.parametrize(("name", "worse"), [("latency", {"candidate_ms": 4.0}), ("size", {"candidate_bytes": 2000})])
def test_what_can_simply_be_measured_has_its_limit(name: str, worse: dict[str, float]) -> None:
    assert failing(judge(evidence_of(flips(900, 8, 6), **worse), LIMITS)) == [name]


def test_a_coarse_int8_graph_fails_if_that_is_no_chance() -> None:
    gold = flips(900, 8, 6)
    assert judge(evidence_of(gold, parity=0.93, parity_rows=128), LIMITS).decision == "pass"
    assert failing(judge(evidence_of(gold, parity=0.85, parity_rows=128), LIMITS)) == ["parity"]


def test_a_gold_set_that_was_used_too_often_is_warned_of() -> None:
    gold = flips(900, 8, 6)
    assert judge(evidence_of(gold, gold_uses=19), LIMITS).warnings == []
    verdict = judge(evidence_of(gold, gold_uses=20), LIMITS)
    assert verdict.decision == "pass"
    assert "20 verdicts" in verdict.warnings[0]


def test_a_verdict_can_be_kept_as_json() -> None:
    every = evidence_of(
        flips(900, 8, 6),
        folds=flips(3000, 9, 9),
        audit=flips(60, 1, 1),
        corrections=flips(60, 1, 1),
        ancestor=flips(900, 8, 6),
        answers=new_answers(np.full(5, 0.6), np.full(5, 0.3), np.arange(5) < 2),
        gold_sha256="abc",
        gold_uses=3,
    )
    verdict = judge(every, LIMITS)
    kept = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert kept["decision"] == "pass"
    assert kept["gold"] == {"sha256": "abc", "rows": 900, "of_labels": 900, "uses": 3}
    assert [check["name"] for check in kept["checks"]] == [
        "accuracy",
        "labels",
        "negative_flips",
        "calibration",
        "out_of_scope",
        "audit",
        "corrections",
        "contradictions",
        "plausibility",
        "parity",
        "ancestor",
        "latency",
        "size",
    ]


@settings(max_examples=15, deadline=None)
@given(st.integers(100, 1200), st.integers(0, 60), st.integers(0, 60))
def test_of_two_models_at_most_one_is_better(n: int, gains: int, losses: int) -> None:
    gold = flips(n, min(gains, n // 5), min(losses, n // 2))
    decisions = [judge(evidence_of(pair), SUPERIORITY).decision for pair in (gold, swapped(gold))]
    assert decisions != ["pass", "pass"]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(60, 900), st.integers(0, 50), st.integers(0, 50), st.integers(0, 10_000),
    st.sampled_from(["superiority", "non_inferiority"]), st.booleans(),
)  # fmt: skip
def test_one_more_right_answer_never_makes_it_worse(
    n: int, gains: int, losses: int, seed: int, test: str, grouped: bool
) -> None:
    random = np.random.default_rng(seed)
    gold = flips(n, min(gains, n // 5), min(losses, n // 2))
    gold = replace(gold, groups=random.integers(n // 2, size=n)) if grouped else gold
    wrong = np.flatnonzero(gold.candidate.chosen != gold.targets)
    assume(len(wrong) > 0)
    chosen = gold.candidate.chosen.copy()
    at = random.choice(wrong)
    chosen[at] = gold.targets[at]
    better = replace(gold, candidate=replace(gold.candidate, chosen=chosen))
    limits = LENIENT.model_copy(update={"test": test})
    before, after = (judge(evidence_of(pair), limits).decision for pair in (gold, better))
    assert RANK[after] >= RANK[before]


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(len(LABELS))), st.integers(0, 40), st.integers(0, 40))
def test_the_order_of_labels_does_not_matter(order: list[int], gains: int, losses: int) -> None:
    gold, places = flips(600, gains, losses), np.array(order)
    renamed = replace(
        gold,
        targets=places[gold.targets],
        champion=replace(gold.champion, chosen=places[gold.champion.chosen]),
        candidate=replace(gold.candidate, chosen=places[gold.candidate.chosen]),
    )
    names = tuple(LABELS[order.index(number)] for number in range(len(LABELS)))
    verdicts = [judge(evidence_of(gold), LIMITS), judge(evidence_of(renamed, labels=names), LIMITS)]
    assert verdicts[0].decision == verdicts[1].decision
    assert [check.outcome for check in verdicts[0].checks] == [check.outcome for check in verdicts[1].checks]
