"""The quick way: the encoder stays as it is, and only a linear head is fitted on its embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from core.errors import DataError
from service.runner import Floats

STRENGTHS = (3.0, 10.0, 30.0)
"""Inverse regularisation strengths tried; validation rows choose one."""

_ITERATIONS = 500
_ABSENT = -30.0


def fit_head(embeddings: Floats, targets: NDArray[np.int64], n_labels: int, strength: float) -> tuple[Floats, Floats]:
    """Fit multinomial logistic regression; return weight `(n_labels, width)` and bias `(n_labels,)`.

    `embeddings` is `(n_texts, width)`, of unit length and best from the very int8 graph that will be served, so that
    the head makes up for the rounding. A label without rows gets a bias that keeps it from ever being chosen.

    Raises:
        DataError: all rows have one label.
    """
    present = np.unique(targets)
    if len(present) < 2:
        raise DataError("all training rows have one label; expected rows of at least two: add data")
    model = LogisticRegression(C=strength, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        # Stopping at the limit is near enough: the validation rows judge the result.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(embeddings.astype(np.float32, copy=False), targets)
    coefficients, intercept = model.coef_, model.intercept_
    if len(present) == 2:  # scikit-learn fits one direction for two labels
        coefficients, intercept = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * intercept / 2
    weight = np.zeros((n_labels, embeddings.shape[1]), dtype=np.float32)
    bias = np.full(n_labels, _ABSENT, dtype=np.float32)
    weight[present], bias[present] = coefficients, intercept
    return weight, bias


def choose_strength(
    train: tuple[Floats, NDArray[np.int64]],
    validation: tuple[Floats, NDArray[np.int64]],
    n_labels: int,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[float, dict[float, float]]:
    """Return the strength with the best validation accuracy (the strongest regularisation of equals), and all scores.

    Each of `train` and `validation` is embeddings `(n_texts, width)` and targets `(n_texts,)`. Without validation
    rows it is the middle of `strengths`.
    """
    if len(validation[1]) == 0:
        return strengths[len(strengths) // 2], {}
    scores = {}
    for strength in strengths:
        weight, bias = fit_head(*train, n_labels, strength)
        chosen = (validation[0] @ weight.T + bias).argmax(axis=1)
        scores[strength] = float((chosen == validation[1]).mean())
    return max(strengths, key=lambda strength: (scores[strength], -strength)), scores
