"""How texts that wait are cut into batches: pure, so that it can be tested and simulated.

On a CPU an int8 encoder costs the same a token from one text up, so that padding is the only waste and waiting for
more texts never pays: sort what is there by length and cut it by a budget of padded tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_TEXTS = 8
"""Texts in one CPU batch at most; more gain nothing and hold up the event loop (`benchmarks/batching.py`)."""


def plan_batches(lengths: Sequence[int], budget: int, most: int = MAX_TEXTS) -> list[list[int]]:
    """Cut texts of `lengths` tokens into batches of like length, shortest first.

    Returns lists of positions in `lengths`. A batch's padded size, its number of texts times its longest, is at most
    `budget` tokens, except that a text longer than the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == most or (len(batch) + 1) * lengths[position] > budget):
            batches.append(batch)
            batch = []
        batch.append(position)
    if batch:
        batches.append(batch)
    return batches
