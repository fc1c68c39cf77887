"""The shapes that a GPU computes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.buckets import (
    MAX_TEXTS,
    RUN_COST,
    all_buckets,
    bucket_of,
    padded_length,
    padded_texts,
    plan_buckets,
    texts_within,
)

LONGEST = 512
LENGTHS = st.lists(st.integers(min_value=1, max_value=LONGEST), max_size=300)
BUDGETS = st.integers(min_value=64, max_value=65_536)


@given(st.integers(min_value=1, max_value=10_000))
def test_a_text_is_padded_by_little(length: int) -> None:
    padded = padded_length(length)
    assert length <= padded <= length + max(7, length // 4)
    assert padded % 8 == 0
    assert padded_length(padded) == padded


@given(st.integers(min_value=1, max_value=10_000))
def test_texts_are_counted_in_powers_of_two(count: int) -> None:
    padded = padded_texts(count)
    assert count <= padded < 2 * count
    assert padded & (padded - 1) == 0


@given(LENGTHS, BUDGETS)
def test_every_text_is_in_one_batch_that_fits_its_bucket(lengths: list[int], budget: int) -> None:
    batches = plan_buckets(lengths, budget)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[position] for position in batch)
        texts, tokens = bucket_of(len(batch), longest, LONGEST)
        assert texts >= len(batch)
        assert longest <= tokens <= LONGEST
        assert texts <= MAX_TEXTS
        assert texts == 1 or texts * tokens <= budget
        assert (texts, tokens) in all_buckets(LONGEST, budget)


@given(LENGTHS, BUDGETS)
def test_what_is_wasted_is_bounded(lengths: list[int], budget: int) -> None:
    """Rounding costs what `padded_length` and `padded_texts` may; joining texts, a run for each that joins."""
    for batch in plan_buckets(lengths, budget):
        texts, tokens = bucket_of(len(batch), max(lengths[position] for position in batch), LONGEST)
        alone = sum(padded_length(lengths[position]) for position in batch)
        assert len(batch) * tokens <= alone + (len(batch) - 1) * RUN_COST
        assert texts * tokens < 2 * (alone + len(batch) * RUN_COST)


@given(LENGTHS, BUDGETS)
def test_shorter_texts_go_first(lengths: list[int], budget: int) -> None:
    flat = [lengths[position] for batch in plan_buckets(lengths, budget) for position in batch]
    assert flat == sorted(lengths)


def test_like_texts_fill_a_batch_and_unlike_ones_part() -> None:
    assert [len(batch) for batch in plan_buckets([12] * 300, 16_384)] == [128, 128, 44]
    assert plan_buckets([12] * 64 + [400], 16_384) == [list(range(64)), [64]]
    assert plan_buckets([12, 60], 16_384) == [[0, 1]]


def test_a_text_beyond_the_budget_is_a_batch_of_its_own() -> None:
    assert plan_buckets([300, 300], 256) == [[0], [1]]
    assert texts_within(300, 256) == 1


@pytest.mark.parametrize("longest", [32, 100, 128, 512])
def test_the_buckets_are_few(longest: int) -> None:
    shapes = all_buckets(longest, 16_384)
    assert len(shapes) == len(set(shapes)) <= 8 * 20
    assert max(tokens for _, tokens in shapes) == longest
    assert (1, min(8, longest)) in shapes
