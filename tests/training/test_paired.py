from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from scipy.stats import binom  # type: ignore[import-untyped]

from tests.support.paired import flips, pair_of, said
from training.metrics import auroc, expected_calibration_error
from training.paired import OUTSIDE, Counts, count
from training.paired_scores import compare_accuracy, compare_auroc, compare_calibration, resample
from training.paired_tests import above_share, better, gain_interval, holm, tango, within_margin

FEW = st.integers(0, 60)


def plain_tango(gains: int, losses: int, rows: int, difference: float) -> float:
    """The same by its definition: the share lost is searched for that makes what was seen likeliest."""

    def unlikely(lost: float) -> float:
        won = lost + difference
        chances = np.array([won, lost, 1 - won - lost])
        seen = np.array([gains, losses, rows - gains - losses])
        return -float((seen[seen > 0] * np.log(np.maximum(chances[seen > 0], 1e-300))).sum())

    low, high = max(0.0, -difference), (1 - difference) / 2
    lost = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    variance = rows * (2 * lost + difference - difference**2)
    return float((gains - losses - rows * difference) / variance**0.5)


@pytest.mark.parametrize(("gains", "losses"), [(10, 2), (2, 10), (0, 4), (4, 0), (1, 1), (40, 20)])
def test_mcnemar_is_the_mid_p_of_the_binomial_distribution(gains: int, losses: int) -> None:
    n = gains + losses
    by_hand = binom.sf(gains, n, 0.5) + binom.pmf(gains, n, 0.5) / 2
    assert float(better(gains, losses)) == pytest.approx(by_hand)


def test_mcnemar_by_hand() -> None:
    """Of 12 rows 10 are won: (66 / 2 + 12 + 1) / 4096."""
    assert float(better(10, 2)) == pytest.approx(46 / 4096)
    assert float(better(0, 0)) == 0.5


@given(st.integers(0, 200), st.integers(0, 200))
def test_better_and_worse_are_two_sides_of_one(gains: int, losses: int) -> None:
    assert float(better(gains, losses) + better(losses, gains)) == pytest.approx(1.0)


def test_tango_gives_what_its_author_published() -> None:
    """Of 44 pairs one is lost: z = 1.709 against a difference of -10 % (Tango 1998)."""
    assert float(tango(0, 1, 44, -0.1)) == pytest.approx(1.709, abs=5e-4)


@settings(deadline=None)
@given(FEW, FEW, st.sampled_from([-0.1, -0.05, -0.02, -0.01, 0.02]))
def test_tango_is_the_score_at_the_likeliest_share(gains: int, losses: int, difference: float) -> None:
    found = float(tango(gains, losses, 400, difference))
    assert found == pytest.approx(plain_tango(gains, losses, 400, difference), abs=2e-3)


def test_tango_without_a_difference_is_mcnemar_s_statistic() -> None:
    assert float(tango(30, 12, 500, 0.0)) == pytest.approx(18 / 42**0.5)


@given(FEW, FEW, st.integers(130, 3000), st.floats(0.005, 0.2))
def test_a_right_answer_more_never_weakens_what_is_shown(gains: int, losses: int, n: int, margin: float) -> None:
    before = float(within_margin(gains, losses, n, margin))
    assert float(within_margin(gains + 1, losses, n, margin)) <= before + 1e-12
    assert float(better(gains + 1, losses)) <= float(better(gains, losses)) + 1e-12
    if losses:
        assert float(within_margin(gains, losses - 1, n, margin)) <= before + 1e-12
        assert float(better(gains, losses - 1)) <= float(better(gains, losses)) + 1e-12


@given(FEW, FEW, st.integers(130, 3000), st.sampled_from([0.01, 0.02, 0.05]))
def test_the_interval_says_what_the_test_says(gains: int, losses: int, n: int, margin: float) -> None:
    low, high = gain_interval(Counts(gains, losses, n), 0.05)
    assert -1 <= low <= (gains - losses) / n <= high <= 1
    assert (low > -margin) == (float(within_margin(gains, losses, n, margin)) < 0.05)
    other_low, other_high = gain_interval(Counts(losses, gains, n), 0.05)
    assert (other_low, other_high) == pytest.approx((-high, -low))


def test_without_rows_nothing_is_known() -> None:
    assert gain_interval(Counts(0, 0, 0), 0.05) == (-1.0, 1.0)
    assert float(within_margin(0, 0, 0, 0.02)) > 0.4


@pytest.mark.parametrize("share", [0.02, 0.03, 0.05, 0.1])
@pytest.mark.parametrize("rows", [100, 300, 1000])
def test_the_margin_is_passed_by_chance_in_at_most_five_of_a_hundred(rows: int, share: float) -> None:
    """By adding up every outcome: the true gain is -2 %, and `share` of the rows differ."""
    lost, won = (share + 0.02) / 2, (share - 0.02) / 2
    total = 0.0
    for losses in range(int(binom.ppf(1 - 1e-9, rows, lost)) + 1):
        left = rows - losses
        gains = np.arange(int(binom.ppf(1 - 1e-9, left, won / (1 - lost))) + 1) if won > 1e-9 else np.zeros(1)
        chance = binom.pmf(losses, rows, lost) * binom.pmf(gains, left, max(won, 0.0) / (1 - lost))
        total += float(chance[within_margin(gains, losses, rows, 0.02) <= 0.05].sum())
    assert total <= 0.05
    assert total > 0.03 or share * rows < 10


@pytest.mark.parametrize("rows", [100, 1000])
@pytest.mark.parametrize("share", [0.02, 0.06, 0.2])
def test_equal_models_are_called_better_in_at_most_five_of_a_hundred(rows: int, share: float) -> None:
    total = 0.0
    for differing in range(rows + 1):
        gains = np.arange(differing + 1)
        chance = binom.pmf(differing, rows, share) * binom.pmf(gains, differing, 0.5)
        total += float(chance[better(gains, differing - gains) <= 0.05].sum())
    assert 0.0 < total <= 0.05


def test_two_points_of_gain_are_found_in_eighty_of_a_hundred() -> None:
    """On 1,000 rows of which 6 % differ."""
    total = 0.0
    for differing in range(150):
        gains = np.arange(differing + 1)
        chance = binom.pmf(differing, 1000, 0.06) * binom.pmf(gains, differing, 0.04 / 0.06)
        total += float(chance[better(gains, differing - gains) <= 0.05].sum())
    assert total > 0.8


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_above_share_is_the_binomial_tail() -> None:
    assert above_share(8, 100, 0.05) == pytest.approx(float(binom.sf(7, 100, 0.05)))
    assert above_share(0, 100, 0.05) == 1.0
    assert above_share(100, 100, 1.0) == 1.0


def test_rows_by_themselves_are_counted_as_they_are() -> None:
    assert vars(count(flips(200, 7, 4))) == pytest.approx({"gains": 7, "losses": 4, "rows": 200})


def test_near_copies_count_as_one_row() -> None:
    """A hundred rows, each there twice, tell as much as a hundred."""
    once = flips(100, 6, 3)
    champion, candidate = (np.tile(one.chosen == once.targets, 2) for one in (once.champion, once.candidate))
    twice = pair_of(champion, candidate, np.tile(once.targets, 2), np.tile(np.arange(100), 2))
    assert vars(count(twice)) == pytest.approx({"gains": 6, "losses": 3, "rows": 100})


def test_weights_say_how_many_rows_one_stands_for() -> None:
    """Two rows of weight 3 and four of 1: ten in total, as good as 100 / 22 equal ones."""
    champion = np.array([False, True, True, True, True, True])
    pair = replace(pair_of(champion, np.ones(6, dtype=np.bool_)), weights=np.array([3.0, 3, 1, 1, 1, 1]))
    found = count(pair)
    assert found.rows == pytest.approx(100 / 22)
    assert found.gain == pytest.approx(0.3)


@given(st.integers(0, 30), st.integers(0, 30), st.randoms())
def test_numbers_and_order_of_labels_do_not_matter(gains: int, losses: int, random: object) -> None:
    pair = flips(300, gains, losses)
    order = np.array(sorted(range(4), key=lambda _: random.random()))  # type: ignore[attr-defined]
    renamed = replace(
        pair,
        targets=order[pair.targets],
        champion=replace(pair.champion, chosen=order[pair.champion.chosen]),
        candidate=replace(pair.candidate, chosen=order[pair.candidate.chosen]),
    )
    assert count(renamed) == count(pair)


def test_rows_of_no_label_are_not_counted() -> None:
    targets = np.array([0, 1, OUTSIDE, OUTSIDE])
    right = np.array([True, False, True, True])
    found = count(pair_of(right, ~right, targets))
    assert (found.gains, found.losses, found.rows) == (1, 1, 2)


def test_the_bootstrap_agrees_with_the_score_interval() -> None:
    pair = flips(1000, 30, 20)
    right = (pair.champion.chosen == pair.targets, pair.candidate.chosen == pair.targets)
    low, high = compare_accuracy(right, resample(pair.groups, 2000), 0.05)
    assert (low, high) == pytest.approx(gain_interval(count(pair), 0.05), abs=0.002)


def test_near_copies_are_drawn_together() -> None:
    samples = resample(np.array([5, 5, 2, 9]), 50)
    assert samples.shape == (50, 4)
    assert (samples[:, 0] == samples[:, 1]).all()
    assert ((samples[:, 0] + samples[:, 2] + samples[:, 3]) == 3).all()


def test_calibration_is_compared_as_metrics_measure_it() -> None:
    random = np.random.default_rng(3)
    targets = random.integers(4, size=400)
    models, expected = [], []
    for shift in (1.0, 3.0):
        probabilities = random.dirichlet(np.ones(4), size=400) ** shift
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        models.append(
            replace(
                said(targets, np.ones(400, dtype=np.bool_)),
                chosen=probabilities.argmax(axis=1),
                confidence=probabilities.max(axis=1),
            )
        )
        expected.append(expected_calibration_error(probabilities, targets))
    found = compare_calibration((models[0], models[1]), targets, resample(np.arange(400), 300))
    assert (found.champion, found.candidate) == pytest.approx(tuple(expected))
    assert 0.005 < found.error < 0.1


def test_areas_are_compared_as_delong_did() -> None:
    """The areas are those of ranks; the error is near that of the bootstrap."""
    random = np.random.default_rng(4)
    outside = np.arange(300) < 80
    champion = random.normal(size=300) + outside
    candidate = champion + random.normal(scale=0.5, size=300)
    found = compare_auroc(champion, candidate, outside)
    assert found.champion == pytest.approx(auroc(champion[~outside], champion[outside]))
    assert found.candidate == pytest.approx(auroc(candidate[~outside], candidate[outside]))
    drawn = []
    for _ in range(400):
        rows = np.concatenate([random.choice(80, 80), 80 + random.choice(220, 220)])
        drawn.append(
            auroc(candidate[rows[80:]], candidate[rows[:80]]) - auroc(champion[rows[80:]], champion[rows[:80]])
        )
    assert found.error == pytest.approx(float(np.std(drawn)), rel=0.15)
