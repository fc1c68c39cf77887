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
    """How distance and largest logit make a score, and the `auroc` of the rows that this was fitted on (or NaN).

    `middle`, `spread` and `relief` are those of `ScopeStatistics`; `n_inside` and `n_outside` count the rows.
    """

    middle: float
    spread: float
    relief: float
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
    return ScopeStatistics(whiten.astype(np.float32), (centroids @ whiten).astype(np.float32))


@dataclass(frozen=True)
class Signals:
    """What scores are made from: `distances` to the nearest centroid and largest `logits`, each `(n_texts,)`."""

    distances: Floats
    logits: Floats


def fit_curve(own: Signals, foreign: Signals) -> Curve:
    """Fit the curve on held-out rows, in scope (`own`) and out of scope (`foreign`).

    Distance and largest logit weigh the same in units of their deviation on the in-scope rows. With at least 20 rows
    of each kind the curve is a logistic regression, both kinds weighing the same. Otherwise it comes from the
    in-scope rows alone: a score of 0.5 where 2.5 % of them lie beyond. Without any rows it says 0 to everything.
    """
    steady = len(own.logits) < 2 or float(own.logits.std()) < _FLOOR
    relief = 0.0 if steady else float(own.distances.std() / own.logits.std())
    inside, outside = (some.distances - np.float32(relief) * some.logits for some in (own, foreign))
    sizes = (relief, auroc(inside, outside), len(inside), len(outside))
    if len(inside) == 0:
        return Curve(1e6, 1.0, *sizes)
    deviation = max(float(inside.std()), 1e-3 * max(1.0, float(inside.mean())))
    plain = Curve(float(np.quantile(inside, _QUANTILE)), deviation / 2, *sizes)
    if min(len(inside), len(outside)) < _ENOUGH or not plain.auroc > 0.5:
        return plain
    distances = np.concatenate([inside, outside]).astype(np.float64)
    scaled = ((distances - inside.mean()) / deviation).reshape(-1, 1)
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    model = LogisticRegression(C=100.0, class_weight="balanced").fit(scaled, truth)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Curve(float(inside.mean()) - offset / slope * deviation, deviation / slope, *sizes) if slope > 0 else plain


def with_curve(statistics: ScopeStatistics, curve: Curve) -> ScopeStatistics:
    """Return `statistics` with the fitted curve."""
    return replace(statistics, middle=curve.middle, spread=curve.spread, relief=curve.relief)
