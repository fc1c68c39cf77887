"""How good answers are: pure functions on arrays of label indices and probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.floating]

BINS = 15


@dataclass(frozen=True, slots=True)
class Averages:
    """Precision, recall and F1, each 0 to 1, averaged in one way over labels."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's precision, recall and F1 (0 where undefined), and its number of rows."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like confidence: their `count`, mean `confidence` and `accuracy`, both 0 to 1."""

    count: int
    confidence: float
    accuracy: float


def confusion_matrix(targets: Ints, chosen: Ints, n_labels: int) -> Ints:
    """Count `(n_labels, n_labels)`: a row for each true label, a column for each chosen one."""
    return np.bincount(targets * n_labels + chosen, minlength=n_labels**2).reshape(n_labels, n_labels).astype(np.int64)


def accuracy(confusion: Ints) -> float:
    """Return the share of rows on the diagonal; NaN without rows."""
    total = int(confusion.sum())
    return float(np.trace(confusion) / total) if total else float("nan")


def label_scores(confusion: Ints) -> list[LabelScore]:
    """Return each label's scores; what has no rows or no answers scores 0."""
    hits, truth, answers = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = _ratio(hits, answers), _ratio(hits, truth)
    f1 = _ratio(2 * hits, truth + answers)
    return [
        LabelScore(float(p), float(r), float(f), int(n))
        for p, r, f, n in zip(precision, recall, f1, truth, strict=True)
    ]


def averages(confusion: Ints) -> dict[str, Averages]:
    """Return the `macro`, `micro` and `weighted` averages over the labels that have rows or answers."""
    seen = (confusion.sum(axis=1) + confusion.sum(axis=0)) > 0
    scores = [score for score, used in zip(label_scores(confusion), seen, strict=True) if used]
    table = np.array([(score.precision, score.recall, score.f1) for score in scores]).reshape(-1, 3)
    support = np.array([score.support for score in scores], dtype=np.float64)
    overall = accuracy(confusion)
    if not len(table) or not support.sum():
        nothing = Averages(float("nan"), float("nan"), float("nan"))
        return {"macro": nothing, "micro": nothing, "weighted": nothing}
    return {
        "macro": Averages(*table.mean(axis=0).tolist()),
        # With one answer a row, micro precision, recall and F1 are all the accuracy.
        "micro": Averages(overall, overall, overall),
        "weighted": Averages(*(support @ table / support.sum()).tolist()),
    }


def reliability(probabilities: Reals, targets: Ints, bins: int = BINS) -> list[Bin]:
    """Bin answers by confidence into equal widths `(0, 1/bins], …, (1 - 1/bins, 1]`; empty bins have NaN means.

    `probabilities` is `(n_texts, n_labels)`, `targets` `(n_texts,)`.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if count else (float("nan"),) * 2
        found.append(Bin(count, *means))
    return found


def expected_calibration_error(probabilities: Reals, targets: Ints, bins: int = BINS) -> float:
    """Return the mean gap of confidence and accuracy over equal-width bins (Guo et al. 2017); NaN without rows."""
    table = [part for part in reliability(probabilities, targets, bins) if part.count]
    total = sum(part.count for part in table)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in table) / total if total else float("nan")


def auroc(inside: Reals, outside: Reals) -> float:
    """Return the chance that a score of `outside` is above one of `inside`, ties counting half; NaN if either is empty.

    The Mann-Whitney statistic, by ranks.
    """
    if not len(inside) or not len(outside):
        return float("nan")
    everything = np.concatenate([inside, outside])
    _, inverse, counts = np.unique(everything, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    above = ranks[len(inside) :].sum() - len(outside) * (len(outside) + 1) / 2
    return float(above / (len(inside) * len(outside)))


def bootstrap_interval(
    right: NDArray[np.bool_], seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval (Efron 1979) of the accuracy of `right` `(n_texts,)`; NaN if no rows.

    Resampling rows with replacement and counting the right ones is a binomial draw.
    """
    if not len(right):
        return float("nan"), float("nan")
    shares = np.random.default_rng(seed).binomial(len(right), float(right.mean()), size=draws) / len(right)
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ratio(over: Ints, under: Ints) -> NDArray[np.float64]:
    return np.divide(over, under, out=np.zeros(len(over), dtype=np.float64), where=under > 0)
