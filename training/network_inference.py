"""Run many texts through a network that is being learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from service.encoding import Encoder, Encoding, Ints
from service.runner import Floats
from training.inference import Outputs, Sizes, run_all
from training.model import Network

_SIZES = Sizes(tokens=4096, texts=128, run_cost=1000, at_a_time=1)
"""torch spreads one call over the cores itself and wants larger batches than a graph."""


def run_network(
    network: Network,
    encoder: Encoder,
    encodings: Sequence[Encoding],
    progress: Callable[[int], object] = lambda _: None,
) -> Outputs:
    """Run `encodings` (at least one) through `network`, in evaluation mode and without gradients."""
    network.eval()

    def compute(ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            found = network(torch.from_numpy(ids), torch.from_numpy(mask))
        return found["logits"].numpy(), found["embedding"].numpy()

    return run_all(compute, encoder, encodings, progress, _SIZES)
