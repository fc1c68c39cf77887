"""Out-of-scope score from class statistics on the embedding.

The Mahalanobis distance to the nearest class centroid under one shared covariance (Lee et al. 2018, "A simple unified
framework for detecting out-of-distribution samples"), mapped to 0 to 1 by a logistic curve fitted on held-out rows.
The covariance is applied as a whitening matrix, so that a text costs one small matrix product.
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

    `whiten` is `(width, rank)`; `centroids`, whitened already, `(n_labels, rank)`; a text at distance `middle` from
    its nearest centroid scores 0.5, and `spread` distances make one unit of log-odds.
    """

    whiten: Floats
    centroids: Floats
    middle: float
    spread: float

    def distances(self, embeddings: Floats) -> Floats:
        """Return the distance of each of `embeddings` `(n_texts, width)` to its nearest centroid, `(n_texts,)`."""
        points = embeddings @ self.whiten
        squares = (points * points).sum(axis=1, keepdims=True) - 2.0 * (points @ self.centroids.T)
        nearest = (squares + self._centroid_squares).min(axis=1)
        distances: Floats = np.sqrt(np.maximum(nearest, 0.0))
        return distances

    def scores(self, embeddings: Floats) -> Floats:
        """Return the out-of-scope score of each of `embeddings` `(n_texts, width)`: 0 in scope, 1 far out."""
        odds = (self.distances(embeddings) - self.middle) / self.spread
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0))), dtype=np.float32)

    def __post_init__(self) -> None:
        """Keep the squared lengths of the centroids, which every text needs."""
        object.__setattr__(self, "_centroid_squares", (self.centroids * self.centroids).sum(axis=1))

    _centroid_squares: Floats = None  # type: ignore[assignment]

    def save(self, path: Path) -> None:
        """Write the statistics as an `.npz` file."""
        np.savez(path, whiten=self.whiten, centroids=self.centroids, curve=np.array([self.middle, self.spread]))


def load_scope(path: Path) -> ScopeStatistics:
    """Read the statistics that `ScopeStatistics.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        middle, spread = arrays["curve"].tolist()
        return ScopeStatistics(arrays["whiten"], arrays["centroids"], middle, spread)
