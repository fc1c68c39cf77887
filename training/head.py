"""Refit a linear head: learn what is new, and keep all else as it was.

Multinomial logistic regression with soft targets and row weights, drawn towards the head that it starts from by a
Gaussian prior around it. With the old head's own answers as the targets of the rows that it has learnt from, that head
is where the loss of those rows is least ("Learning without forgetting", Li and Hoiem 2016): only new rows move it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]

from service.head import Head
from service.runner import Floats

_ITERATIONS = 200
_TOLERANCE = 1e-5


def refit_head(
    start: Head, embeddings: Floats, targets: Floats, weights: Floats, *, temperature: float, pull: float
) -> Head:
    """Return the head that fits the rows best and is not far from `start`.

    Args:
        start: the head to start from and to stay near.
        embeddings: `(n_texts, width)`, from the very graph that the head will be part of.
        targets: probabilities `(n_texts, n_labels)`, each row's sum 1.
        weights: how much each row counts, `(n_texts,)`, at least 0.
        temperature: divides the logits, so that it is calibrated probabilities that are fitted to `targets`.
        pull: precision of the prior around `start`, in the loss of one row of weight 1; above 0.
    """
    origin = np.column_stack([start.weight, start.bias]).astype(np.float64)
    points = np.column_stack([embeddings, np.ones(len(embeddings))]).astype(np.float32) / np.float32(temperature)
    strong = weights.astype(np.float32)[:, None]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = flat.reshape(origin.shape) - origin
        logits = points @ flat.reshape(origin.shape).astype(np.float32).T
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        sums = shares.sum(axis=1, keepdims=True)
        surprise = strong * targets * (np.log(sums) - logits)
        shares /= sums
        slope = (strong * (shares - targets)).T @ points
        value = float(surprise.sum(dtype=np.float64)) + 0.5 * pull * float((moved**2).sum())
        return value, (slope.astype(np.float64) + pull * moved).ravel()

    found = minimize(
        loss, origin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "ftol": _TOLERANCE}
    )
    fitted = found.x.reshape(origin.shape).astype(np.float32)
    return Head(np.ascontiguousarray(fitted[:, :-1]), np.ascontiguousarray(fitted[:, -1]))
