"""How texts that wait are cut into batches: pure, so that it can be tested and simulated.

On a CPU an int8 encoder costs the same a token from one text up, so that padding is the only waste and waiting for
more texts never pays: sort what is there by length and cut it by a budget of padded tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

MAX_TEXTS = 16
"""Texts in one CPU batch at most; more gain nothing and hold up the event loop (`benchmarks/batching.py`)."""

RUN_COST = 6
"""What a run of the graph costs besides its tokens, in tokens: 0.3 ms where a token takes 0.05 ms. Padding beyond that
costs more than a run of its own."""


def plan_batches(
    lengths: Sequence[int], budget: int, most: int = MAX_TEXTS, run_cost: int = RUN_COST
) -> list[list[int]]:
    """Cut texts of `lengths` tokens into batches of like length, shortest first.

    Returns lists of positions in `lengths`. A text joins a batch only if the padding that it brings the others costs
    less than a run of its own. A batch's padded size, its number of texts times its longest, is at most `budget`
    tokens, except that a text longer than the budget is a batch of its own.
    """

    def is_over(size: int, last: int, length: int) -> bool:
        return size == most or (size + 1) * length > budget or size * (length - last) > run_cost

    return cut_sorted(lengths, is_over)


def cut_sorted(lengths: Sequence[int], is_over: Callable[[int, int, int], bool]) -> list[list[int]]:
    """Cut texts of `lengths` tokens, shortest first, wherever a batch is over: lists of positions in `lengths`.

    `is_over` is given the texts in the batch, the tokens of its last text, and those of the next one.
    """
    batches: list[list[int]] = []
    last = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[position]
        if not batches or is_over(len(batches[-1]), last, length):
            batches.append([])
        batches[-1].append(position)
        last = length
    return batches
