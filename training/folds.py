"""Champion and candidate on base rows that neither was fitted on, for a gate whose gold set is small.

A head on an encoder that was never fitted to the task is cross-validated: in each fold both recipes start without the
fold's rows and their near-copies. An encoder that was fine-tuned on rows gives their labels away in its embeddings,
whatever rows the head was fitted on, so that only those can tell that it never saw: the ones that certified it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.artifact import SCOPE, Manifest
from service.classifier import softmax
from service.head import Head
from service.runner import Floats
from service.scope import ScopeStatistics, load_scope
from training.fast import Fast, is_frozen, refit
from training.fast_rows import FastRows, Flags
from training.head import refit_head
from training.near import ALIKE, TWIN, groups
from training.paired import OUTSIDE, Pair, Said

FOLDS = 5

MOST_ROWS = 1000
"""Base rows that are cross-validated at most: a fast run has seconds."""

_STRENGTH = 10.0
_SEED = 0

Ints = NDArray[np.int64]


def cross_validate(fast: Fast, past: Collection[str] = ()) -> Pair | None:
    """Compare the recipes of champion and candidate on base rows; `past` resolutions are those the champion learnt.

    None where the gold set is large enough without, or there are no such rows.
    """
    if len(fast.snapshot.gold) >= fast.task.gate.small_gold:
        return None
    known = _known_before(fast, past)
    return _by_folds(fast, known) if is_frozen(fast.champion.manifest) else _on_unseen(fast)


def _known_before(fast: Fast, past: Collection[str]) -> Flags:
    """Tell which rows people had answered before the champion was made, `(n,)`."""
    rows = [*fast.snapshot.rows, *fast.snapshot.outside]
    return np.array([row.resolution_id in past for row in rows], dtype=np.bool_)


def _on_unseen(fast: Fast) -> Pair | None:
    """Ask both heads about the rows that certified the champion."""
    rows, champion = fast.rows, fast.champion
    at = np.flatnonzero(rows.certify & (rows.table.targets != OUTSIDE))
    if not len(at):
        return None
    heads = champion.head, refit(fast.task, champion.head, champion.manifest.temperature, rows)
    return _pair(fast, at, [head.logits(rows.embeddings[at]) for head in heads])


def _by_folds(fast: Fast, known: Flags) -> Pair | None:
    rows = _sample(fast.rows)
    own = ~rows.table.reviewed & rows.learn & (rows.table.targets != OUTSIDE)
    at = np.flatnonzero(own)
    if len(np.unique(rows.table.targets[at])) < 2 or len(at) < 2 * FOLDS:
        return None
    folds = _folds([row.text for row in rows.rows], rows.learn)
    logits = [np.zeros((len(rows.rows), len(fast.task.labels)), dtype=np.float32) for _ in range(2)]
    for fold in range(FOLDS):
        out, rest = folds == fold, rows.learn & (folds != fold)
        for found, head in zip(logits, _heads(fast, rows, rest, known), strict=True):
            found[out] = head.logits(rows.embeddings[out])
    return _pair(fast, at, [found[at] for found in logits])


def _sample(rows: FastRows) -> FastRows:
    """Return `rows` with no more than `MOST_ROWS` base rows to learn from, drawn once for all."""
    base = np.flatnonzero(rows.learn & ~rows.table.reviewed)
    if len(base) <= MOST_ROWS:
        return rows
    learn = rows.learn & rows.table.reviewed
    learn[np.random.default_rng(_SEED).choice(base, MOST_ROWS, replace=False)] = True
    return replace(rows, learn=learn)


def _folds(texts: list[str], learn: Flags) -> Ints:
    """Return a fold for each row that is learnt from, near-copies in one, and -1 for the others, `(n,)`."""
    at = np.flatnonzero(learn)
    members = groups([texts[one] for one in at], ALIKE)
    place = np.random.default_rng(_SEED).permutation(int(members.max()) + 1) % FOLDS
    folds = np.full(len(texts), -1, dtype=np.int64)
    folds[at] = place[members]
    return folds


def _heads(fast: Fast, rows: FastRows, rest: Flags, known: Flags) -> tuple[Head, Head]:
    """Return the champion's head and the candidate's as the rows of `rest` alone would have made them."""
    manifest, table = fast.champion.manifest, rows.table
    base = rest & ~table.reviewed & (table.targets != OUTSIDE)
    blank = Head(np.zeros_like(fast.champion.head.weight), np.zeros_like(fast.champion.head.bias))
    first = refit_head(
        blank,
        rows.embeddings[base],
        table.soft[base],
        table.weights[base],
        temperature=1.0,
        pull=1.0 / _strength(manifest),
    )
    before = refit(fast.task, first, manifest.temperature, replace(rows, learn=rest & (known | ~table.reviewed)))
    return before, refit(fast.task, before, manifest.temperature, replace(rows, learn=rest))


def _strength(manifest: Manifest) -> float:
    return float(manifest.recipe.get("strength") or _STRENGTH)


def _pair(fast: Fast, at: Ints, logits: list[Floats]) -> Pair:
    """Return what both said of the rows `at`."""
    rows, manifest = fast.rows, fast.champion.manifest
    statistics = load_scope(fast.champion.folder / SCOPE)
    champion, candidate = (_said(found, rows.embeddings[at], manifest.temperature, statistics) for found in logits)
    texts = [rows.rows[one].text for one in at]
    return Pair(
        [str(rows.rows[one].line) for one in at], groups(texts, TWIN), rows.table.targets[at], champion, candidate
    )


def _said(logits: Floats, embeddings: Floats, temperature: float, statistics: ScopeStatistics) -> Said:
    probabilities = softmax(logits.copy(), temperature)
    outside = statistics.scores(embeddings, logits)
    return Said(probabilities.argmax(axis=1), probabilities.max(axis=1), outside)
