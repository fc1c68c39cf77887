"""Run many texts through a graph, in length-sorted batches on every core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from core.settings import available_cores
from service.batching import MAX_TEXTS, RUN_COST, plan_batches
from service.encoding import Encoder, Encoding, Ints
from service.runner import Floats

Compute = Callable[[Ints, Ints], tuple[Floats, Floats]]
"""Takes padded ids and mask `(n_texts, n_tokens)`, returns logits `(n_texts, n_labels)` and embeddings."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a batch may hold, padded `tokens` and `texts`, what a run costs beside them, and how many go at a time."""

    tokens: int
    texts: int
    run_cost: int
    at_a_time: int


def graph_sizes() -> Sizes:
    """Return the sizes for a graph, whose session has one thread and releases the interpreter's lock: one a core."""
    return Sizes(512, MAX_TEXTS, RUN_COST, available_cores())


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a graph says of `n` texts: `logits` `(n, n_labels)` and unit-length `embeddings` `(n, width)`."""

    logits: Floats
    embeddings: Floats


def run_all(
    compute: Compute,
    encoder: Encoder,
    encodings: Sequence[Encoding],
    progress: Callable[[int], object] = lambda _: None,
    sizes: Sizes | None = None,
) -> Outputs:
    """Run `encodings` (at least one) through `compute`; `progress` is told the number of texts of each batch done.

    `sizes` are by default those of a graph.
    """
    sizes = sizes or graph_sizes()
    lengths = [len(encoding.ids) for encoding in encodings]
    batches = plan_batches(lengths, sizes.tokens, sizes.texts, sizes.run_cost)

    def one(batch: list[int]) -> tuple[Floats, Floats]:
        return compute(*encoder.pad([encodings[position] for position in batch]))

    with ThreadPoolExecutor(sizes.at_a_time) as pool:
        found = []
        for batch, result in zip(batches, pool.map(one, batches), strict=True):
            found.append(result)
            progress(len(batch))
    order = np.argsort(np.concatenate([np.array(batch) for batch in batches]))
    logits, embeddings = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
    return Outputs(logits, embeddings)
