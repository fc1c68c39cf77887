"""Out-of-scope score from class statistics on the embedding.

The Mahalanobis distance to the nearest class centroid under one shared covariance (Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples"), less a multiple of the largest logit (Hendrycks et al. 2022,
"Scaling out-of-distribution detection for real-world settings"), mapped to 0 to 1 by a logistic curve fitted on
held-out rows. Either part alone is poor for some models: the distance before fine-tuning, the logit after it.
The covariance is applied as a whitening matrix, so that a text costs a few small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ScopeStatistics:
    """Class statistics of one model version.

    `whiten` is `(width, rank)`; `centroids`, whitened already, `(n_labels, rank)`. A text's strangeness is its distance
    to the nearest centroid less `relief` times its largest logit; at `middle` the score is 0.5, and `spread` more of it
    is one unit of log-odds.
    """

    whiten: Floats
    centroids: Floats
    middle: float = 1.0
    spread: float = 1.0
    relief: float = 0.0

    def distances(self, embeddings: Floats) -> Floats:
        """Return the distance of each of `embeddings` `(n_texts, width)` to its nearest centroid, `(n_texts,)`."""
        points = embeddings @ self.whiten
        nearest = (points @ self._pull + self._centroid_squares).min(axis=1)
        nearest += np.einsum("ij,ij->i", points, points)
        distances: Floats = np.sqrt(np.maximum(nearest, 0.0))
        return distances

    def scores(self, embeddings: Floats, logits: Floats) -> Floats:
        """Return the out-of-scope score of each text, `(n_texts,)`: 0 in scope, 1 far out.

        `embeddings` is `(n_texts, width)`, `logits` `(n_texts, n_labels)`, both as the graph returns them.
        """
        strangeness = self.distances(embeddings) - np.float32(self.relief) * logits.max(axis=1)
        against = (self.middle - strangeness) / self.spread
        against = np.minimum(np.maximum(against, -30.0), 30.0)  # np.clip takes twice as long for a few numbers
        return np.asarray(1.0 / (1.0 + np.exp(against)), dtype=np.float32)

    def __post_init__(self) -> None:
        """Keep what every text needs of the centroids: their squared lengths, and how they pull."""
        object.__setattr__(self, "_centroid_squares", (self.centroids * self.centroids).sum(axis=1))
        object.__setattr__(self, "_pull", np.ascontiguousarray(-2.0 * self.centroids.T))

    _centroid_squares: Floats = None  # type: ignore[assignment]
    _pull: Floats = None  # type: ignore[assignment]

    def save(self, path: Path) -> None:
        """Write the statistics as an `.npz` file."""
        curve = np.array([self.middle, self.spread, self.relief])
        np.savez(path, whiten=self.whiten, centroids=self.centroids, curve=curve)


def load_scope(path: Path) -> ScopeStatistics:
    """Read the statistics that `ScopeStatistics.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return ScopeStatistics(arrays["whiten"], arrays["centroids"], *arrays["curve"].tolist())
