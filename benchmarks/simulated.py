"""Evidence for the gate, simulated: two models whose difference is known, and people who are right or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.gate import Evidence
from training.paired import OUTSIDE, Flags, Ints, Pair, Said
from training.plausible import NewAnswers

Floats = NDArray[np.float64]

N_LABELS = 28
ACCURACY = 0.8
BATCHES = (
    "good, any texts",
    "good, doubtful texts",
    "good, all corrections",
    "wrong labels at random",
    "wrong labels on doubtful texts",
    "one label said as the likeliest other",
)
_OUTSIDE_ROWS = 60
_GOLD_FOR_MISTAKES = 900
_CONCENTRATION = {28: 0.015, 3: 0.22}
"""Of the Dirichlet distribution that a champion's probabilities have; both make it right in some four of five."""


@dataclass(frozen=True)
class Ground:
    """What is true: gold `rows`, of which a share `disagreement` differs, with a true `gain` in accuracy.

    With `folds` cross-validated rows on top, whose true gain is `folds_gain`.
    """

    name: str
    rows: int
    disagreement: float
    gain: float
    folds: int = 0
    folds_gain: float = 0.0


def evidence_for(ground: Ground, random: np.random.Generator) -> Evidence:
    """Simulate all that the gate judges by; in all but accuracy the candidate is equal."""
    truth = (ground.disagreement, ground.gain)
    audit = _pair(300, *truth, 0, random)
    return Evidence(
        gold=_pair(ground.rows, *truth, _OUTSIDE_ROWS, random),
        folds=_pair(ground.folds, ground.disagreement, ground.folds_gain, 0, random) if ground.folds else None,
        audit=Pair(audit.ids, audit.groups, audit.targets, audit.champion, audit.candidate, np.full(300, 50.0)),
        corrections=_pair(200, *truth, 0, random),
        ancestor=None,
        parity=0.97,
        parity_rows=128,
        champion_ms=2.0,
        candidate_ms=2.0,
        champion_bytes=1,
        candidate_bytes=1,
        gold_uses=0,
        labels=[f"label {number}" for number in range(N_LABELS)],
        answers=batch_of("good, doubtful texts", N_LABELS, random),
    )


def _pair(rows: int, disagreement: float, gain: float, outside: int, random: np.random.Generator) -> Pair:
    """Simulate two calibrated models on rows of labels, and on rows `outside` of them."""
    n = rows + outside
    targets = np.concatenate([random.integers(N_LABELS, size=rows), np.full(outside, OUTSIDE)])
    confidence = random.beta(4.0, 4.0 / ACCURACY - 4.0, size=n)
    right = random.random(n) < confidence
    won, lost = (disagreement + gain) / 2, (disagreement - gain) / 2
    flipped = random.random(n) < np.where(right, lost / ACCURACY, won / (1 - ACCURACY))
    after = right ^ flipped
    sure = np.where(flipped, _confidence_of(after, random), confidence)
    scores = np.where(targets == OUTSIDE, random.beta(5, 2, n), random.beta(1, 8, n))
    jittered = np.clip(scores + random.normal(0, 0.03, n), 0, 1)
    return Pair(
        [""] * n,
        np.arange(n),
        targets,
        _said(targets, right, confidence, scores),
        _said(targets, after, np.clip(sure + random.normal(0, 0.02, n), 0.0, 1.0), jittered),
    )


def _confidence_of(right: Flags, random: np.random.Generator) -> Floats:
    """Draw confidences of answers that are right or not, as a calibrated model has them: beta, tilted by Bayes."""
    first, second = 4.0, 4.0 / ACCURACY - 4.0
    return np.where(right, random.beta(first + 1, second, len(right)), random.beta(first, second + 1, len(right)))


def _said(targets: Ints, right: Flags, confidence: Floats, outside: Floats) -> Said:
    known = targets != OUTSIDE
    return Said(np.where(right & known, targets, (targets + 1) % N_LABELS), confidence, outside)


def batch_of(kind: str, n_labels: int, random: np.random.Generator, *, drawn: bool = True) -> NewAnswers:
    """Simulate thirty answers of one of `BATCHES`, held against a calibrated champion of `n_labels`."""
    gold, truth = _champion(_GOLD_FOR_MISTAKES, n_labels, random)
    wrong = gold.argmax(axis=1) != truth
    mistakes = gold[wrong, truth[wrong]]
    probabilities, labels = _champion(600, n_labels, random)
    order = np.argsort(probabilities.max(axis=1)) if "doubtful" in kind else np.arange(600)
    chosen = order[:150][random.permutation(150)]
    if kind == "good, all corrections":
        chosen = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    if kind.startswith("one label"):
        chosen = np.flatnonzero(labels == random.integers(n_labels))
    chosen = chosen[:30]
    given = labels[chosen].copy()
    if kind.startswith("wrong"):
        given = (given + random.integers(1, n_labels, size=len(chosen))) % n_labels
    if kind.startswith("one label"):
        others = probabilities[chosen].mean(axis=0)
        others[given] = -1.0
        given[:] = others.argmax()
    rows = probabilities[chosen]
    said = rows[np.arange(len(chosen)), given]
    flags = np.full(len(chosen), drawn)
    return NewAnswers(rows.max(axis=1), said, rows.argmax(axis=1) != given, flags, mistakes)


def _champion(n: int, n_labels: int, random: np.random.Generator) -> tuple[Floats, Ints]:
    """Draw probabilities `(n, n_labels)`, and the labels that they are true of."""
    probabilities = random.dirichlet(np.full(n_labels, _CONCENTRATION[n_labels]), size=n)
    drawn = (probabilities.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return probabilities, np.minimum(drawn, n_labels - 1).astype(np.int64)
