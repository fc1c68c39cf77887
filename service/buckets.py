"""The shapes that a GPU computes: few enough to be prepared once, near enough to the texts to waste little. Pure.

A GPU takes about as long for a few tokens as for some hundreds, and each new shape costs it memory, a choice of kernels
and perhaps a captured graph. So texts are counted in powers of two and lengths in steps that grow with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.batching import cut_sorted

BATCH_TOKENS = 16_384
"""Padded tokens in one batch at most, where `REGRADE_BATCH_TOKENS` says nothing else."""

MAX_TEXTS = 128
"""Texts in one batch at most, a power of two; more would make the first of them wait for the last."""

RUN_COST = 1_024
"""What a run of the graph costs besides its tokens, in tokens: launching the kernels of six layers takes about as long
as a GPU of the last years computes so many. `make gpu-check` prints what a run costs by shape."""

_STEPS = ((64, 8), (128, 16), (256, 32))
"""Lengths up to the first number go in steps of the second: padding is at most 7 tokens or a quarter of the text."""

_LAST_STEP = 64


def padded_length(length: int) -> int:
    """Return the tokens, at least `length` (from 1), that a text of so many is padded to."""
    step = next((step for most, step in _STEPS if length <= most), _LAST_STEP)
    return -(-length // step) * step


def padded_texts(count: int) -> int:
    """Return the smallest power of two that is at least `count` (from 1)."""
    return 1 << (count - 1).bit_length()


def bucket_of(texts: int, length: int, longest: int) -> tuple[int, int]:
    """Return the shape `(texts, tokens)` in which so many texts of up to `length` tokens are computed.

    `longest` is the most tokens that the model sees, at least `length`: no shape is longer.
    """
    return padded_texts(texts), min(padded_length(length), longest)


def texts_within(length: int, budget: int, most: int = MAX_TEXTS) -> int:
    """Return how many texts of `length` tokens a batch holds: a power of two, at least 1, at most `most` (one too).

    Padded, they are at most `budget` tokens, except that one text alone may be more.
    """
    fitting = min(most, budget // padded_length(length))
    return 1 << (fitting.bit_length() - 1) if fitting else 1


def plan_buckets(
    lengths: Sequence[int], budget: int, most: int = MAX_TEXTS, run_cost: int = RUN_COST
) -> list[list[int]]:
    """Cut texts of `lengths` tokens into batches that fit a bucket each, shortest first.

    Returns lists of positions in `lengths`. A text that needs a longer bucket joins a batch only if the padding that it
    brings the others costs at most a run of its own.
    """

    def is_over(size: int, last: int, length: int) -> bool:
        if size >= texts_within(length, budget, most):
            return True
        return size * (padded_length(length) - padded_length(last)) > run_cost

    return cut_sorted(lengths, is_over)


def all_buckets(longest: int, budget: int, most: int = MAX_TEXTS) -> list[tuple[int, int]]:
    """Return every shape `(texts, tokens)` that `plan_buckets` may lead to for texts of up to `longest` tokens."""
    tokens = sorted({min(padded_length(length), longest) for length in range(1, longest + 1)})
    return [
        (1 << power, length) for length in tokens for power in range(texts_within(length, budget, most).bit_length())
    ]
