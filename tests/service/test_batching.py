"""Cutting waiting texts into batches."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.batching import RUN_COST, plan_batches

LENGTHS = st.lists(st.integers(min_value=2, max_value=512), max_size=100)


@given(LENGTHS, st.integers(min_value=64, max_value=2048), st.integers(min_value=1, max_value=32))
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, most: int) -> None:
    batches = plan_batches(lengths, budget, most)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


@given(LENGTHS)
def test_batches_hold_texts_of_like_length(lengths: list[int]) -> None:
    flat = [lengths[position] for batch in plan_batches(lengths, 512) for position in batch]
    assert flat == sorted(lengths)


def test_sorting_wastes_less_than_arrival_order() -> None:
    lengths = [5, 60, 6, 61, 7, 62, 8, 63]
    batches = plan_batches(lengths, 512, most=4)
    padded = sum(len(batch) * max(lengths[position] for position in batch) for batch in batches)
    assert padded == 4 * 8 + 4 * 63


def test_a_long_text_is_not_padded_onto_short_ones() -> None:
    assert plan_batches([10, 60, 10, 11], 512) == [[0, 2, 3], [1]]


@given(LENGTHS)
def test_no_text_brings_more_padding_than_a_run_of_its_own(lengths: list[int]) -> None:
    for batch in plan_batches(lengths, 100_000, most=1000):
        for size, (shorter, longer) in enumerate(pairwise(batch), start=1):
            assert size * (lengths[longer] - lengths[shorter]) <= RUN_COST
