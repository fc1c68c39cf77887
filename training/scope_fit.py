"""Fit the out-of-scope statistics: label centroids, one shared covariance, and the curve from distance to score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

from service.runner import Floats
from service.scope import ScopeStatistics
from training.metrics import auroc

_QUANTILE = 0.975
"""Share of held-out in-scope texts that score below 0.5 where there is no out-of-scope row to learn from."""

_ENOUGH = 20
_FLOOR = 1e-6


@dataclass(frozen=True)
class Curve:
    """The logistic curve from distance to score, and the `auroc` of the rows it was fitted on (or NaN)."""

    middle: float
    spread: float
    auroc: float
    n_inside: int
    n_outside: int


def fit_statistics(embeddings: Floats, targets: NDArray[np.int64], n_labels: int) -> ScopeStatistics:
    """Return centroids and whitening from training `embeddings` `(n_texts, width)` of the graph that is served.

    The shared covariance is that of the differences to the labels' centroids (Lee et al. 2018), shrunk (Ledoit and
    Wolf 2004) so that it can be inverted from few rows. Labels without rows have no centroid, so that the result has
    at most `n_labels` of them. The curve is a placeholder until `with_curve`.
    """
    present = [label for label in range(n_labels) if np.any(targets == label)]
    exact = embeddings.astype(np.float64)
    centroids = np.stack([exact[targets == label].mean(axis=0) for label in present])
    place = {label: position for position, label in enumerate(present)}
    differences = exact - centroids[[place[int(label)] for label in targets]]
    covariance, _ = ledoit_wolf(differences, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(np.maximum(values, _FLOOR * max(values.max(), _FLOOR)))
    return ScopeStatistics(whiten.astype(np.float32), (centroids @ whiten).astype(np.float32), 1.0, 1.0)


def fit_curve(inside: Floats, outside: Floats) -> Curve:
    """Fit the curve on held-out distances of in-scope rows `(n_inside,)` and out-of-scope rows `(n_outside,)`.

    With at least 20 of each, by logistic regression, both kinds weighing the same. Otherwise from the in-scope rows
    alone: a score of 0.5 where 2.5 % of them lie beyond. Without any rows the curve says 0 to everything.
    """
    found = auroc(inside, outside)
    sizes = (found, len(inside), len(outside))
    if len(inside) == 0:
        return Curve(1e6, 1.0, *sizes)
    deviation = max(float(inside.std()), 1e-3 * max(1.0, float(inside.mean())))
    plain = Curve(float(np.quantile(inside, _QUANTILE)), deviation / 2, *sizes)
    if min(len(inside), len(outside)) < _ENOUGH or not found > 0.5:
        return plain
    distances = np.concatenate([inside, outside]).astype(np.float64)
    scaled = ((distances - inside.mean()) / deviation).reshape(-1, 1)
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    model = LogisticRegression(C=100.0, class_weight="balanced").fit(scaled, truth)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Curve(float(inside.mean()) - offset / slope * deviation, deviation / slope, *sizes) if slope > 0 else plain


def with_curve(statistics: ScopeStatistics, curve: Curve) -> ScopeStatistics:
    """Return `statistics` with the fitted curve."""
    return replace(statistics, middle=curve.middle, spread=curve.spread)
