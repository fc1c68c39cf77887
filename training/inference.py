"""Run many texts through a graph or a network, in length-sorted batches on every core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from core.settings import available_cores
from service.batching import MAX_TEXTS, plan_batches
from service.encoding import Encoder, Encoding, Ints
from service.runner import Floats
from training.model import Network

Compute = Callable[[Ints, Ints], tuple[Floats, Floats]]
"""Takes padded ids and mask `(n_texts, n_tokens)`, returns logits `(n_texts, n_labels)` and embeddings."""

_BUDGET = 512
_TORCH_BUDGET = 4096
_TORCH_TEXTS = 128
_TORCH_RUN_COST = 1000


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
) -> Outputs:
    """Run `encodings` (at least one) through `compute`; `progress` is told the number of texts of each batch done.

    A graph's calls run side by side, one a core, since each session has one thread and releases the interpreter's
    lock. torch spreads one call over the cores itself and wants larger batches.
    """
    large = isinstance(compute, TorchCompute)
    size = (_TORCH_BUDGET, _TORCH_TEXTS, _TORCH_RUN_COST) if large else (_BUDGET, MAX_TEXTS)
    batches = plan_batches([len(encoding.ids) for encoding in encodings], *size)

    def one(batch: list[int]) -> tuple[Floats, Floats]:
        return compute(*encoder.pad([encodings[position] for position in batch]))

    with ThreadPoolExecutor(1 if large else available_cores()) as pool:
        found = []
        for batch, result in zip(batches, pool.map(one, batches), strict=True):
            found.append(result)
            progress(len(batch))
    order = np.argsort(np.concatenate([np.array(batch) for batch in batches]))
    logits, embeddings = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
    return Outputs(logits, embeddings)


class TorchCompute:
    """A `Compute` that runs a network in evaluation mode, without gradients."""

    def __init__(self, network: Network) -> None:
        """Run `network`, which is put into evaluation mode now."""
        self._network = network.eval()

    def __call__(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        """Return logits `(n_texts, n_labels)` and embeddings `(n_texts, width)`."""
        with torch.inference_mode():
            found = self._network(torch.from_numpy(ids), torch.from_numpy(mask))
        return found["logits"].numpy(), found["embedding"].numpy()
