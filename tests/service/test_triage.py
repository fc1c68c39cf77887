from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.artifact import Base, Gate, Manifest
from service.triage import DRIFT_FACTOR, Triage, Triaged, scope_threshold, urgency, urgency_under
from tasks.declaration import Label
from tasks.declaration import Triage as Rules

LABELS = ["parcel", "refund"]
DAY = 86_400.0


def manifest(**more: object) -> Manifest:
    fields: dict[str, object] = {
        "task": "tiny-intent",
        "version": "v1",
        "kind": "single_label",
        "revision": 1,
        "labels": [Label(id=at, name=name) for at, name in enumerate(LABELS, 1)],
        "languages": ["en"],
        "max_length": 32,
        "redact": [],
        "temperature": 1.0,
        "method": "quick",
        "base": Base(name="b", sha256="0", licence="MIT"),
        "snapshot_sha256": "0",
        "summary": {},
        "gate": Gate(decision="ungated"),
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "recipe": {},
        "packages": {},
        "files": {},
    }
    fitted = {"thresholds": {"parcel": 0.8, "refund": 0.6}, "scope_threshold": 0.4, "drift_from": 0.2}
    return Manifest.model_validate(fields | fitted | more)


def rules(**more: object) -> Rules:
    return Rules.model_validate({"audit": 0.02} | more)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("label", "confidence", "out_of_scope", "reason"),
    [
        ("parcel", 0.79, 0.0, "low_confidence"),
        ("refund", 0.79, 0.0, None),
        ("refund", 0.59, 0.0, "low_confidence"),
        ("refund", 0.59, 0.5, "out_of_scope"),
        ("parcel", 0.99, 0.41, "out_of_scope"),
        ("parcel", 0.8, 0.4, None),
    ],
)
def test_doubt_is_always_a_reason(label: str, confidence: float, out_of_scope: float, reason: str | None) -> None:
    triage = Triage(manifest(drift_from=None), rules(audit=1e-9), Random(0))
    decided = triage.decide(label, confidence, out_of_scope)
    assert decided.reason == reason
    assert decided.inclusion == (1.0 if reason else 1e-9)


def test_a_version_without_thresholds_doubts_only_what_is_far_out() -> None:
    old = manifest(thresholds={}, scope_threshold=None, drift_from=None)
    triage = Triage(old, rules(audit=1e-9), Random(0))
    assert triage.decide("parcel", 0.01, 0.5).reason is None
    assert triage.decide("parcel", 0.99, 0.51).reason == "out_of_scope"


def test_an_old_manifest_is_still_read() -> None:
    content = manifest().model_dump(mode="json")
    for name in ("scope_threshold", "drift_from", "risk"):
        del content[name]
    assert Manifest.model_validate(content).scope_threshold is None


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 250), st.integers(1, 600))
def test_audits_are_spread_evenly(seed: int, block: int, n: int) -> None:
    """Exactly one in every block of predictions, and never more than that in what follows the last whole one."""
    triage = Triage(manifest(), rules(audit=1 / block), Random(seed))
    drawn = [triage.decide("parcel", 0.99, 0.0) for _ in range(n)]
    assert n // block <= sum(one.reason == "audit" for one in drawn) <= -(-n // block)
    assert {one.inclusion for one in drawn} == {1 / block}


@pytest.mark.parametrize("place", [0, 7, 23])
def test_every_place_is_drawn_with_its_own_probability(place: int) -> None:
    """Mixed probabilities in one block, by a budget that lets go as time passes."""
    hits, expected, variance = 0, 0.0, 0.0
    for seed in range(3000):
        clock = Clock()
        triage = Triage(manifest(), rules(audit=0.05, budget=100), Random(seed), clock=clock)
        decided = Triaged(None, 0.0, 0.0)
        for at in range(place + 1):
            clock.now += 60.0
            decided = triage.decide("parcel", 0.5 if at % 2 or at == place else 0.99, 0.0)
        hits += decided.reason is not None
        expected += decided.inclusion
        variance += decided.inclusion * (1 - decided.inclusion)
    assert abs(hits - expected) <= 4 * math.sqrt(variance) + 1e-6


def test_traffic_that_repeats_itself_is_audited_evenly() -> None:
    """Fifty texts in turn, every fiftieth audited: a fixed step would meet the same text for ever."""
    triage = Triage(manifest(), rules(), Random(3))
    met = Counter(at % 50 for at in range(50_000) if triage.decide("parcel", 0.99, 0.0).reason)
    assert sum(met.values()) == 1000
    assert len(met) == 50
    assert max(met.values()) < 45


def test_rare_labels_have_their_share() -> None:
    triage = Triage(manifest(), rules(), Random(5))
    met = Counter[str]()
    for at in range(10_000):
        label = "refund" if at % 100 == 0 else "parcel"
        met[label] += triage.decide(label, 0.99, 0.0).reason == "audit"
    assert met["refund"] == 2
    assert met["parcel"] == 198


def test_unusual_texts_are_drawn_more_often() -> None:
    triage = Triage(manifest(), rules(), Random(1))
    drawn = [triage.decide("parcel", 0.99, 0.3) for _ in range(1000)]
    assert Counter(one.reason for one in drawn) == {"drift": 100, None: 900}
    assert drawn[0].inclusion == pytest.approx(DRIFT_FACTOR * 0.02)
    assert Triage(manifest(), rules(drift=False), Random(1)).decide("parcel", 0.99, 0.3).inclusion == 0.02
    assert Triage(manifest(), rules(audit=0.5), Random(1)).decide("parcel", 0.99, 0.3).inclusion == 1.0


def day_of(triage: Triage, clock: Clock, a_day: int, doubtful: float, random: Random) -> list[Triaged]:
    found = []
    for _ in range(a_day):
        clock.now += DAY / a_day
        found.append(triage.decide("parcel", 0.5 if random.random() < doubtful else 0.99, 0.0))
    return found


@pytest.mark.parametrize(("workers", "expected"), [(1, 400), (2, 200)])
def test_a_budget_is_kept(workers: int, expected: int) -> None:
    clock, random = Clock(), Random(0)
    triage = Triage(manifest(), rules(budget=400), random, workers=workers, clock=clock)
    for _ in range(3):
        day_of(triage, clock, 5000, 0.3, random)
    last = day_of(triage, clock, 5000, 0.3, random)
    asked = [one for one in last if one.reason]
    assert len(asked) == pytest.approx(expected, rel=0.1)
    assert sum(one.inclusion for one in last) == pytest.approx(expected, rel=0.05)
    assert {one.reason for one in asked} == {"low_confidence", "audit"}
    assert min(one.inclusion for one in last) == 0.02


def test_a_budget_never_goes_below_the_audits_nor_asks_for_more() -> None:
    clock, random = Clock(), Random(0)
    tight = Triage(manifest(), rules(budget=1), random, clock=clock)
    assert {one.inclusion for one in day_of(tight, clock, 2000, 0.3, random)[100:]} == {0.02}
    wide = Triage(manifest(), rules(budget=100_000), random, clock=clock)
    assert {one.inclusion for one in day_of(wide, clock, 2000, 0.3, random)} == {0.02, 1.0}


def test_audits_alone_may_be_more_than_the_budget() -> None:
    clock, random = Clock(), Random(0)
    triage = Triage(manifest(), rules(budget=1, audit=0.5), random, clock=clock)
    drawn = day_of(triage, clock, 1000, 0.0, random)
    assert {one.inclusion for one in drawn} == {0.5}
    assert sum(one.reason == "audit" for one in drawn) == 500


def test_a_first_burst_is_held_back() -> None:
    clock = Clock()
    triage = Triage(manifest(), rules(budget=240), Random(0), clock=clock)
    burst = []
    for _ in range(2000):
        clock.now += 0.01
        burst.append(triage.decide("parcel", 0.5, 0.0))
    assert burst[0].inclusion == 1.0
    assert sum(one.inclusion for one in burst) < 0.02 * 2000 + 100


def test_what_is_known_of_the_traffic_outlives_a_version() -> None:
    clock, random = Clock(), Random(0)
    triage = Triage(manifest(), rules(budget=1), random, clock=clock)
    day_of(triage, clock, 500, 0.5, random)
    other = triage.beside(manifest(version="v2", thresholds={"parcel": 0.3}))
    assert other.decide("parcel", 0.2, 0.0).inclusion == 0.02
    fresh = Triage(manifest(thresholds={"parcel": 0.3}), rules(), random)
    assert fresh.decide("parcel", 0.5, 0.0).inclusion == 0.02


def test_versions_that_answer_side_by_side_share_the_budget_and_have_their_own_thresholds() -> None:
    clock, random = Clock(), Random(3)
    champion = Triage(manifest(), rules(budget=100), random, clock=clock)
    candidate = champion.beside(manifest(version="v2", thresholds={"parcel": 0.3}))
    assert candidate.decide("parcel", 0.5, 0.0).inclusion == 0.02
    assert champion.decide("parcel", 0.5, 0.0).inclusion > 0.02
    asked = 0
    for clock.now in (1000.0 + 20.0 * at for at in range(4 * 4320)):
        version = random.choice([champion, candidate])
        asked += version.decide("parcel", 0.2, 0.0).reason is not None
    assert 4 * 80 < asked < 4 * 130, "about a hundred a day, both together"


def test_the_summed_probabilities_agree_with_what_was_drawn() -> None:
    clock, random = Clock(), Random(11)
    triage = Triage(manifest(), rules(budget=300), random, clock=clock)
    drawn = [
        triage.decide(random.choice(LABELS), random.betavariate(8, 1), random.betavariate(0.3, 6))
        for clock.now in (1000.0 + 10.0 * at for at in range(20_000))
    ]
    expected = sum(one.inclusion for one in drawn)
    variance = sum(one.inclusion * (1 - one.inclusion) for one in drawn)
    assert abs(sum(one.reason is not None for one in drawn) - expected) < 3.3 * math.sqrt(variance)
    assert {one.reason for one in drawn} == {None, "low_confidence", "out_of_scope", "drift", "audit"}


@given(st.floats(0, 1), st.floats(0, 1))
def test_doubtful_comes_before_unusual_before_audit(confidence: float, out_of_scope: float) -> None:
    doubtful = min(urgency("low_confidence", confidence, 0.0), urgency("out_of_scope", 0.0, out_of_scope))
    rest = max(urgency("drift", confidence, out_of_scope), urgency("audit", confidence, out_of_scope))
    assert 1.0 >= doubtful >= rest >= 0.0
    assert urgency("low_confidence", 0.2, 0.0) > urgency("low_confidence", 0.4, 0.0)
    assert urgency("out_of_scope", 0.9, 0.4) > urgency("out_of_scope", 0.9, 0.3)
    assert urgency("out_of_scope", 0.2, 0.1) > urgency("low_confidence", 0.3, 0.0)


def test_an_item_stands_where_the_version_that_judges_it_now_would_have_put_it() -> None:
    judged = manifest()
    label = LABELS[0]
    threshold = judged.thresholds[label]
    assert urgency_under(judged, label, threshold - 0.01, 0.0) == urgency("low_confidence", threshold - 0.01, 0.0)
    assert urgency_under(judged, label, threshold, 0.0) == urgency("audit", threshold, 0.0)
    assert urgency_under(judged, label, 1.0, 0.9) == urgency("out_of_scope", 1.0, 0.9)


@given(st.floats(0, 1))
def test_no_threshold_lets_a_text_far_out_pass(trust: float) -> None:
    assert 0.0 <= scope_threshold(trust) <= 0.5
