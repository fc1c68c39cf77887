"""Two models on the same rows, made from what each has right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.gate import Evidence
from training.paired import OUTSIDE, Flags, Ints, Pair, Said
from training.plausible import NewAnswers

LABELS = ("parcel", "refund", "password", "invoice")


def said(targets: Ints, right: Flags, sure: float = 0.8, outside: float = 0.1) -> Said:
    """Return a model that says the label of each row, or the next one where it is not `right`."""
    known = targets != OUTSIDE
    chosen = np.where(right & known, targets, (targets + 1) % len(LABELS))
    scores = np.where(known, outside, 0.9)
    return Said(chosen, np.full(len(targets), sure), scores.astype(np.float64))


def pair_of(champion: Flags, candidate: Flags, targets: Ints | None = None, groups: Ints | None = None) -> Pair:
    """Return a pair whose models are right where the flags say; labels go round."""
    n = len(champion)
    labels = np.arange(n) % len(LABELS) if targets is None else targets
    numbers = np.arange(n) if groups is None else groups
    return Pair([str(at) for at in range(n)], numbers, labels, said(labels, champion), said(labels, candidate))


def flips(n: int, gains: int, losses: int, accuracy: float = 0.8) -> Pair:
    """Return `n` rows of which the candidate wins `gains` and loses `losses` against a champion of that accuracy."""
    champion = np.arange(n) < round(n * accuracy)
    candidate = champion.copy()
    candidate[:losses] = False
    candidate[n - gains :] = True
    return spread(pair_of(champion, candidate))


def spread(pair: Pair) -> Pair:
    """Give the rows labels at random, so that no label has all the flips."""
    targets = np.random.default_rng(0).integers(len(LABELS), size=len(pair))
    right = (pair.champion.chosen == pair.targets, pair.candidate.chosen == pair.targets)
    return replace(pair, targets=targets, champion=said(targets, right[0]), candidate=said(targets, right[1]))


def evidence_of(gold: Pair, **more: object) -> Evidence:
    """Return evidence in which nothing but the gold rows speaks against or for the candidate."""
    values: dict[str, object] = {
        "folds": None,
        "audit": None,
        "corrections": None,
        "ancestor": None,
        "parity": 1.0,
        "parity_rows": 128,
        "champion_ms": 2.0,
        "candidate_ms": 2.0,
        "champion_bytes": 1000,
        "candidate_bytes": 1000,
        "gold_uses": 0,
        "labels": LABELS,
    }
    return Evidence(gold=gold, **{**values, **more})  # type: ignore[arg-type]


def new_answers(
    confidence: NDArray[np.floating], given: NDArray[np.floating], contradicts: Flags, *, drawn: bool = True
) -> NewAnswers:
    """Return answers held against fifty gold mistakes, whose right labels had probabilities from 0 to 0.5."""
    return NewAnswers(confidence, given, contradicts, np.full(len(given), drawn), np.linspace(0.0, 0.5, 50))
