"""Encoded rows, and how they are cut into batches for learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.encoding import Encoder, Encoding
from service.runner import Floats
from training.losses import Goals
from training.rows import Row

_CHUNK = 16
"""Batches' worth of shuffled rows that are sorted by length together: little padding, and still much chance."""


@dataclass(frozen=True)
class Examples:
    """Rows ready to learn from: their tokens and `targets` `(n,)`, indices into the task's labels.

    Where not every row is certain, `soft` `(n, n_labels)` are the probabilities of its labels, of which `targets` is
    the most probable; where not all count the same, `weights` `(n,)` say how much each does, 1 on average.
    """

    encodings: list[Encoding]
    targets: NDArray[np.int64]
    soft: Floats | None = None
    weights: Floats | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.encodings)

    def take(self, positions: Sequence[int]) -> Examples:
        """Return the rows at `positions`, in that order."""
        chosen = list(positions)
        return Examples(
            [self.encodings[position] for position in chosen],
            self.targets[chosen],
            None if self.soft is None else self.soft[chosen],
            None if self.weights is None else self.weights[chosen],
        )


def encode_rows(rows: Sequence[Row], encoder: Encoder, labels: Sequence[str]) -> Examples:
    """Tokenise `rows`, whose labels must all be in `labels`, exactly as serving does."""
    index = {name: position for position, name in enumerate(labels)}
    targets = np.array([index[row.label or ""] for row in rows], dtype=np.int64)
    return Examples([encoder.encode(row.text) for row in rows], targets)


def weigh(examples: Examples, soft: Floats, weights: Floats) -> Examples:
    """Return `examples` with the probabilities `soft` `(n, n_labels)` and `weights` `(n,)`, where these say anything.

    `weights`, above 0, are scaled to a mean of 1, so that learning rates mean the same for any data.
    """
    same = bool(np.all(weights == weights[0])) if len(weights) else True
    certain = bool(np.all(soft.max(axis=1) == 1.0)) if len(soft) else True
    scaled = None if same else np.asarray(weights / weights.mean(), dtype=np.float32)
    return Examples(examples.encodings, examples.targets, None if certain else soft, scaled)


def shuffled_batches(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[list[int]]:
    """Cut positions into batches of `size` texts of like length, in an order that `rng` decides.

    Shuffle, sort within runs of several batches, cut, and shuffle the batches: every epoch differs, and padding is
    a few per cent. A last batch of one text joins the one before it.
    """
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), size * _CHUNK):
        chunk = sorted(order[start : start + size * _CHUNK].tolist(), key=lengths.__getitem__)
        batches.extend(chunk[at : at + size] for at in range(0, len(chunk), size))
    lonely = [batch for batch in batches if len(batch) == 1]
    batches = [batch for batch in batches if len(batch) > 1] or batches
    if lonely and batches != lonely:
        batches[-1] = batches[-1] + [position for batch in lonely for position in batch]
    return [batches[at] for at in rng.permutation(len(batches))]


def as_tensors(examples: Examples, positions: Sequence[int], encoder: Encoder) -> tuple[Tensor, Tensor, Goals]:
    """Return padded ids and mask `(n_texts, longest)` and what the rows at `positions` should come to."""
    batch = examples.take(positions)
    ids, mask = encoder.pad(batch.encodings)
    soft = None if batch.soft is None else torch.from_numpy(batch.soft)
    weights = None if batch.weights is None else torch.from_numpy(batch.weights)
    return (torch.from_numpy(ids), torch.from_numpy(mask), Goals(torch.from_numpy(batch.targets), soft, weights))
