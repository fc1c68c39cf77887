"""Whether a live version disappoints: how often chance is taken for it, and how soon a fall is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from feedback.observations import Observed
from feedback.sampling import Drawn
from feedback.watches import Comparison
from tasks.declaration import Watch
from training.watch import compare, level_of, why_worse

SURE, DOUBTFUL = 0.02, 1.0
"""Inclusion probabilities of confident answers, and of those that are always looked at."""

Rates = tuple[float, float]


def traffic(
    random: Generator, n: int, wrong: Rates, reported: float = 0.0, labels: Sequence[float] = (1.0,)
) -> Observed:
    """Predictions of which a tenth are doubtful; `wrong` are the errors of confident and of doubtful ones."""
    doubtful = random.random(n) < 0.1
    inclusion = np.where(doubtful, DOUBTFUL, SURE)
    drawn = random.random(n) < inclusion
    mistaken = (random.random(n) < np.where(doubtful, wrong[1], wrong[0])).astype(float)
    counts = random.multinomial(n, labels)
    rows = Drawn(np.zeros(drawn.sum(), dtype=np.int64), inclusion[drawn], mistaken[drawn], n, float(inclusion.sum()))
    named = {f"label {number}": int(count) for number, count in enumerate(counts)}
    return Observed("v", rows, int(random.binomial(n, reported)), named)


def part_of(whole: Observed, share: float) -> Observed:
    """The first `share` of what triage drew, of the traffic and of the rest."""
    drawn = whole.drawn
    most, n = round(len(drawn.wrong) * share), round(drawn.n_traffic * share)
    rows = Drawn(drawn.labels[:most], drawn.inclusion[:most], drawn.wrong[:most], n, drawn.expected * share)
    labels = {name: round(count * share) for name, count in whole.labels.items()}
    return Observed(whole.version, rows, round(whole.reported * share), labels)


def watched(live: Observed, before: Observed, limits: Watch, looks: int = 40) -> list[list[Comparison]]:
    """Look again and again while the evidence grows; return what each look left."""
    known: list[Comparison] = []
    kept = []
    for number in range(1, looks + 1):
        known = compare(part_of(live, number / looks), before, limits, known)
        kept.append(known)
        if any(one.is_worse for one in known):
            break
    return kept


def share_taken_back(repetitions: int, make: Callable[[Generator], tuple[Observed, Observed]], limits: Watch) -> float:
    random = np.random.default_rng(7)
    pairs = [make(random) for _ in range(repetitions)]
    return float(np.mean([any(one.is_worse for one in watched(*pair, limits)[-1]) for pair in pairs]))


NO_MARGIN = Watch(margin=0.0, reports=1.0, labels=1e-9)
"""What chance alone does is seen without the limits, which keep most of it away."""

SKEWED = (0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02)


def test_equal_versions_are_taken_back_as_seldom_as_is_said() -> None:
    def equal(random: Generator) -> tuple[Observed, Observed]:
        live, before = (traffic(random, n, (0.03, 0.3), 0.01, SKEWED) for n in (4_000, 6_000))
        return live, before

    found = share_taken_back(300, equal, NO_MARGIN)
    assert 0.0 < found <= 0.05, "a test that never errs would find nothing either"
    assert share_taken_back(100, equal, Watch()) <= 0.03


def test_what_was_all_reviewed_is_a_sample_still() -> None:
    def equal(random: Generator) -> tuple[Observed, Observed]:
        live, before = (all_reviewed(random, 400, 0.2) for _ in range(2))
        return live, before

    assert share_taken_back(200, equal, NO_MARGIN) <= 0.05
    random = np.random.default_rng(7)
    worse = watched(all_reviewed(random, 400, 0.5), all_reviewed(random, 400, 0.2), Watch())[-1]
    assert [one.measure for one in worse if one.is_worse] == ["accuracy"]


def all_reviewed(random: Generator, n: int, wrong: float) -> Observed:
    mistaken = (random.random(n) < wrong).astype(float)
    rows = Drawn(np.zeros(n, dtype=np.int64), np.ones(n), mistaken, n, float(n))
    return Observed("v", rows, 0, {"parcel": n})


def test_a_better_version_stays() -> None:
    def better(random: Generator) -> tuple[Observed, Observed]:
        return traffic(random, 3_000, (0.01, 0.2), 0.005), traffic(random, 3_000, (0.05, 0.4), 0.02)

    assert share_taken_back(100, better, NO_MARGIN) == 0.0


def test_a_big_fall_is_seen() -> None:
    def fallen(random: Generator) -> tuple[Observed, Observed]:
        return traffic(random, 5_000, (0.2, 0.6)), traffic(random, 6_000, (0.03, 0.3))

    assert share_taken_back(100, fallen, Watch()) >= 0.8


def test_a_small_fall_beyond_chance_is_let_be() -> None:
    random = np.random.default_rng(7)
    live, before = traffic(random, 120_000, (0.07, 0.3)), traffic(random, 120_000, (0.03, 0.3))
    (found,) = [one for one in compare(live, before, Watch(), []) if one.measure == "accuracy"]
    assert found.significant
    assert 0 < found.loss < found.limit
    assert not found.is_worse
    assert why_worse("v2", "v1", [found]) is None


def test_reports_and_labels_are_seen() -> None:
    random = np.random.default_rng(7)
    before = traffic(random, 5_000, (0.03, 0.3), 0.005, SKEWED)
    loud = traffic(random, 1_000, (0.03, 0.3), 0.03, SKEWED)
    one_label = traffic(random, 1_000, (0.03, 0.3), 0.005, (0.02, 0.03, 0.05, 0.1, 0.1, 0.2, 0.5))
    assert {one.measure for one in watched(loud, before, Watch())[-1] if one.is_worse} == {"reports"}
    found = watched(one_label, before, Watch())[-1]
    assert {one.measure for one in found if one.is_worse} == {"labels"}
    said = why_worse("v2", "v1", found)
    assert said is not None
    assert said.startswith("v2 does worse than v1 did: it gives other labels")
    assert not any(one.measure == "labels" for one in watched(one_label, before, Watch(labels=0))[-1])


def test_looks_follow_when_the_evidence_has_grown() -> None:
    random = np.random.default_rng(5)
    live, before = (traffic(random, 20_000, (0.03, 0.3), 0.01) for _ in range(2))
    looks = [{one.measure: one for one in known} for known in watched(live, before, Watch(), looks=400)]
    sizes = list(dict.fromkeys(known["accuracy"].n for known in looks if "accuracy" in known))
    assert sizes[0] >= 30
    assert all(later >= 1.5 * earlier for earlier, later in pairwise(sizes))
    assert looks[-1]["accuracy"].number == len(sizes)
    assert looks[-1]["accuracy"].level == level_of(len(sizes), 0.05)


def test_nothing_is_said_of_little() -> None:
    random = np.random.default_rng(5)
    much, little = (traffic(random, n, (0.9, 0.9), 0.9) for n in (5_000, 90))
    assert compare(little, much, Watch(), []) == []
    assert compare(much, little, Watch(), []) == []


@given(st.floats(0.001, 0.49), st.integers(1, 200))
def test_levels_are_never_overspent(alpha: float, looks: int) -> None:
    spent = 3 * sum(level_of(number, alpha) for number in range(1, looks + 1))
    assert spent <= alpha
    assert spent == pytest.approx(alpha * (1 - 1 / (looks + 1)))


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(100, 5_000), st.integers(100, 5_000))
def test_more_reports_are_never_better(few: int, more: int, n: int, m: int) -> None:
    none = Drawn(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), 0, 0.0)

    def reported(count: int, size: int) -> Observed:
        rows = Drawn(none.labels, none.inclusion, none.wrong, size, 0.0)
        return Observed("v", rows, count, {"parcel": size})

    def look(count: int) -> Comparison:
        (found,) = [one for one in compare(reported(count, n), reported(5, m), Watch(), []) if one.measure == "reports"]
        return found

    low, high = sorted((few, more))
    assert look(low).loss <= look(high).loss
    assert look(low).significant <= look(high).significant
