"""How far traffic has moved: the index and the test of texts, on what is equal and on what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.watches import Shift
from training.drift import began, bin_edges, binned, shift_of, stability
from training.text_shift import TEXTS_LIMIT, energy_test, shift_of_texts

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12).filter(
    lambda pairs: sum(one for one, _ in pairs) > 0 and sum(other for _, other in pairs) > 0
)


@given(COUNTS)
def test_an_index_is_never_below_0(pairs: list[tuple[int, int]]) -> None:
    reference, recent = zip(*pairs, strict=True)
    there, back = stability(reference, recent), stability(recent, reference)
    assert there.value >= 0
    assert 0 <= there.excess <= there.value
    assert np.isfinite(there.value)
    assert there.value == pytest.approx(back.value), "it does not matter which comes first"


@given(st.lists(st.integers(0, 500), min_size=1, max_size=12).filter(lambda one: sum(one) > 0), st.integers(1, 5))
def test_equal_shares_are_0_apart(counts: list[int], times: int) -> None:
    assert stability(counts, [times * count for count in counts]).value == pytest.approx(0, abs=1e-12)


def test_what_is_known_by_hand() -> None:
    """Shares of 0.5, 0.5 and 0.8, 0.2: 0.3 ln(1.6) + 0.3 ln(2.5) = 0.4159; many rows leave nothing to chance."""
    index = stability([50_000, 50_000], [80_000, 20_000])
    assert index.value == pytest.approx(0.4159, abs=1e-3)
    assert index.excess == pytest.approx(index.value, abs=1e-3)


@pytest.mark.parametrize("n_labels", [3, 20, 77])
@pytest.mark.parametrize("sizes", [(500, 500), (5_000, 500)])
def test_chance_alone_is_no_shift(n_labels: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(n_labels)
    shares = random.dirichlet(np.ones(n_labels))
    pairs = [tuple(list(random.multinomial(n, shares)) for n in sizes) for _ in range(1_000)]
    found = [stability(first, last) for first, last in pairs]
    assert np.mean([one.value > one.chance for one in found]) <= 0.006
    assert np.mean([one.excess for one in found]) <= 0.02
    assert "shifted" not in {shift_of("labels", first, last, 0.25).verdict for first, last in pairs}


def test_readings() -> None:
    reference = [400, 300, 200, 100]
    assert shift_of("labels", reference, [410, 290, 190, 110], 0.25).verdict == "steady"
    assert shift_of("labels", reference, [300, 250, 200, 250], 0.25).verdict == "moving"
    assert shift_of("labels", reference, [100, 200, 300, 400], 0.25).verdict == "shifted"
    assert shift_of("labels", reference, [100, 200, 300, 400], 2.0).verdict == "moving"
    assert shift_of("labels", reference, [0, 0, 0, 1_000], 0.25).verdict == "shifted"
    assert shift_of("labels", [6, 2], [2, 6], 0.25).verdict == "steady", "eight are too few to say"


def test_bins_hold_about_as_many() -> None:
    random = np.random.default_rng(1)
    first, same, sure = random.beta(5, 1, 5_000), random.beta(5, 1, 1_000), random.beta(20, 1, 1_000)
    edges = bin_edges(list(first))
    counts = binned(list(first), edges)
    assert sum(counts) == 5_000
    assert min(counts) >= 450
    assert shift_of("confidence", counts, binned(list(same), edges), 0.25).verdict == "steady"
    assert shift_of("confidence", counts, binned(list(sure), edges), 0.25).verdict == "shifted"
    alike = bin_edges([1.0] * 500)
    assert sum(binned([1.0] * 500, alike)) == 500


def test_a_shift_is_over_only_well_below_the_limit() -> None:
    def at(value: float, verdict: str) -> list[Shift]:
        return [Shift("labels", value, 0.25, verdict, 500, 500)]  # type: ignore[arg-type]

    assert not began(None, [])
    assert not began(None, at(0.24, "moving"))
    assert began(None, at(0.26, "shifted"))
    assert began("before", at(0.21, "moving"))
    assert not began("before", at(0.19, "moving"))
    assert not began("before", at(0.0, "steady"))


def embeddings(random: np.random.Generator, n: int, centre: int = 0) -> np.ndarray:
    """Unit vectors about one of several centres."""
    found = random.normal(size=(n, 16)) * 0.25
    found[:, centre] += 1.0
    unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def test_equal_texts_are_seldom_called_others() -> None:
    random = np.random.default_rng(2)
    found = [energy_test(embeddings(random, 60), embeddings(random, 40), permutations=39) for _ in range(200)]
    assert np.mean([one.p_value <= 0.05 for one in found]) == pytest.approx(0.05, abs=0.04)
    large = [energy_test(embeddings(random, 300), embeddings(random, 300), permutations=1) for _ in range(10)]
    assert max(one.coefficient for one in large) < TEXTS_LIMIT


def test_other_texts_are_found() -> None:
    random = np.random.default_rng(2)
    reference = embeddings(random, 300)
    half = np.concatenate([embeddings(random, 150), embeddings(random, 150, centre=1)])
    assert shift_of_texts(reference, embeddings(random, 300)).verdict == "steady"
    shifted = shift_of_texts(reference, half)
    assert shifted.verdict == "shifted"
    assert shift_of_texts(reference, embeddings(random, 300, centre=1)).value > shifted.value


@settings(max_examples=30)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 1_000))
def test_the_test_of_texts_is_a_share_and_a_probability(n: int, m: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    found = energy_test(random.normal(size=(n, 4)), random.normal(size=(m, 4)) + seed % 3, permutations=49)
    assert 0 <= found.coefficient <= 1
    assert 0 < found.p_value <= 1
    same = np.zeros((n, 4))
    assert energy_test(same, same, permutations=9).coefficient == 0
