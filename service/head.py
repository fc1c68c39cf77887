"""The linear head of a version, outside its graph: what lets several versions stand on one encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import ModelError
from service.runner import Floats


@dataclass(frozen=True)
class Head:
    """A linear head: `weight` `(n_labels, width)` and `bias` `(n_labels,)`, float32."""

    weight: Floats
    bias: Floats

    def logits(self, embeddings: Floats) -> Floats:
        """Return logits `(n_texts, n_labels)` of `embeddings` `(n_texts, width)`."""
        found: Floats = embeddings @ self.weight.T + self.bias
        return found

    def save(self, path: Path) -> None:
        """Write it as an `.npz` file."""
        np.savez(path, weight=self.weight, bias=self.bias)


def load_head(path: Path) -> Head:
    """Read the head that `Head.save` wrote.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Head(arrays["weight"], arrays["bias"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a usable head: {error}; train the task again") from error
