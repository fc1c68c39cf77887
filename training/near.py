"""Near-copies: texts that share most of their character n-grams.

Texts are TF-IDF vectors over character 3- to 5-grams within words, compared by cosine (the usual "fuzzy" matching of
Salton and Buckley 1988 weights). All pairs are screened in a 384-dimensional sparse random projection, which keeps
cosines to within about 0.05 (Johnson and Lindenstrauss 1984; Achlioptas 2003), and the pairs that pass are measured
exactly: 20,000 texts take seconds, and no pair is decided by the approximation alone unless it is 0.15 too low.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.random_projection import SparseRandomProjection

from core.text import normalise

ALIKE = 0.72
"""Cosine from which two texts must stay on one side of a split: "cancel my order" and "don't cancel my order" (0.75
to 0.87, by corpus) would measure memory rather than understanding. Lower values chain a data set into one group."""

TWIN = 0.94
"""Cosine from which a text is a near-copy of another; 15 % of BANKING77's test texts have one in its training part."""

_PUNCTUATION = re.compile(r"[^\w]+")
_DIMENSIONS = 384
_SLACK = 0.15
_BLOCK = 2048

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def groups(texts: Sequence[str], threshold: float = ALIKE) -> NDArray[np.int64]:
    """Return a group number for each text, `(n_texts,)`: near-copies, directly or in a chain, share one."""
    if len(texts) < 2:
        return np.arange(len(texts), dtype=np.int64)
    vectors = _vectors(texts)
    rows, columns = _similar(vectors, vectors, threshold)
    links = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def near_twins(texts: Sequence[str], others: Sequence[str], threshold: float = TWIN) -> NDArray[np.bool_]:
    """Tell for each text, `(n_texts,)`, whether any of `others` is a near-copy of it."""
    found = np.zeros(len(texts), dtype=bool)
    if len(texts) == 0 or len(others) == 0:
        return found
    vectors = _vectors([*texts, *others])
    rows, _ = _similar(vectors[: len(texts)], vectors[len(texts) :], threshold)
    found[rows] = True
    return found


def _vectors(texts: Sequence[str]) -> Any:
    """Return unit-length TF-IDF rows `(n_texts, n_grams)`, sparse; a text without any n-gram is all zeros."""
    vectoriser = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, preprocessor=_words, dtype=np.float32
    )
    return vectoriser.fit_transform(texts)


def _words(text: str) -> str:
    """Return the normalised text without its punctuation, which makes no text a different one."""
    return _PUNCTUATION.sub(" ", normalise(text))


def _similar(left: Any, right: Any, threshold: float) -> Pairs:
    """Return the positions of all pairs whose cosine is at least `threshold`."""
    found = [_confirmed(left, right, block, threshold) for block in _candidates(left, right, threshold)]
    rows, columns = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(columns)


def _candidates(left: Any, right: Any, threshold: float) -> Iterator[Pairs]:
    """Yield, block by block, the pairs that look similar enough in the projection."""
    projection = SparseRandomProjection(min(_DIMENSIONS, left.shape[1]), random_state=0)
    right_low = normalize(projection.fit(right).transform(right).toarray())
    left_low = right_low if left is right else normalize(projection.transform(left).toarray())
    for start in range(0, len(left_low), _BLOCK):
        near = left_low[start : start + _BLOCK] @ right_low.T >= threshold - _SLACK
        rows, columns = np.nonzero(near)
        yield rows.astype(np.int64) + start, columns.astype(np.int64)


def _confirmed(left: Any, right: Any, pairs: Pairs, threshold: float) -> Pairs:
    """Keep the pairs whose exact cosine is high enough."""
    rows, columns = pairs
    kept = []
    for start in range(0, len(rows), _BLOCK * 8):
        part = slice(start, start + _BLOCK * 8)
        cosine = np.asarray(left[rows[part]].multiply(right[columns[part]]).sum(axis=1)).ravel()
        kept.append(cosine >= threshold)
    chosen = np.concatenate(kept) if kept else np.zeros(0, dtype=bool)
    return rows[chosen], columns[chosen]
