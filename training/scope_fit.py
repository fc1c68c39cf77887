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

    @property
    def table(self) -> NDArray[np.float64]:
        """Both side by side, `(n_texts, 2)`."""
        return np.column_stack([self.distances, self.logits]).astype(np.float64)

    def strangeness(self, relief: float) -> Floats:
        """Return the distances less `relief` times the logits, `(n_texts,)`."""
        return self.distances - np.float32(relief) * self.logits


def fit_curve(own: Signals, foreign: Signals) -> Curve:
    """Fit the curve on held-out rows, in scope (`own`) and out of scope (`foreign`).

    With at least 20 rows of each kind it is a logistic regression on distance and largest logit, both kinds weighing
    the same. Otherwise it comes from the in-scope rows alone: distance and logit weigh the same in units of their
    deviation, and the score is 0.5 where 2.5 % of the rows lie beyond. Without any rows it says 0 to everything.
    """
    if min(len(own.logits), len(foreign.logits)) >= _ENOUGH:
        fitted = _regress(own, foreign)
        if fitted is not None:
            return fitted
    steady = len(own.logits) < 2 or float(own.logits.std()) < _FLOOR
    relief = 0.0 if steady else float(own.distances.std() / own.logits.std())
    inside = own.strangeness(relief)
    sizes = (relief, auroc(inside, foreign.strangeness(relief)), len(inside), len(foreign.logits))
    if len(inside) == 0:
        return Curve(1e6, 1.0, *sizes)
    deviation = max(float(inside.std()), 1e-3 * max(1.0, float(inside.mean())))
    return Curve(float(np.quantile(inside, _QUANTILE)), deviation / 2, *sizes)


def _regress(own: Signals, foreign: Signals) -> Curve | None:
    """Return the curve by logistic regression; None where distance does not rise, or the logit not fall, outside."""
    table = np.concatenate([own.table, foreign.table])
    mean, deviation = table.mean(axis=0), np.maximum(table.std(axis=0), _FLOOR)
    truth = np.repeat([0, 1], [len(own.logits), len(foreign.logits)])
    model = LogisticRegression(class_weight="balanced").fit((table - mean) / deviation, truth)
    distance, logit = (model.coef_[0] / deviation).tolist()
    if distance <= _FLOOR or logit > 0:
        return None
    relief = -logit / distance
    middle = float(mean @ [1.0, -relief]) - float(model.intercept_[0]) / distance
    sides = own.strangeness(relief), foreign.strangeness(relief)
    return Curve(middle, 1.0 / distance, relief, auroc(*sides), *map(len, sides))


def with_curve(statistics: ScopeStatistics, curve: Curve) -> ScopeStatistics:
    """Return `statistics` with the fitted curve."""
    return replace(statistics, middle=curve.middle, spread=curve.spread, relief=curve.relief)
