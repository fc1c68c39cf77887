"""How alike two texts are, by the words and short runs of characters that they share; in any language.

A text's features are its words (each character of Chinese and Japanese is one) and its runs of two and three
characters, hashed to a fixed number of places (Weinberger et al. 2009, "Feature hashing for large scale multitask
learning"). Each weighs the more, the rarer it is among the texts compared with (the inverse document frequency of
Spärck Jones 1972), and likeness is the cosine of the angle between two texts (Salton & Buckley 1988, "Term-weighting
approaches in automatic text retrieval").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from core.near_key import words_of
from core.text import normalise

Floats = NDArray[np.float32]

_PLACES = 2**18
_SPREAD = np.uint32(0x9E3779B1)
_RUNS = (np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))
"""Odd factors that tell runs of two characters from runs of three, and their order."""

_READ = 600
"""Characters of a text that are looked at: what it is about stands in its beginning."""


class Features(NamedTuple):
    """What stands in a text: the hashed `places`, `(n_features,)`, ascending, and how much of each, `counts`."""

    places: NDArray[np.uint32]
    counts: Floats


def features_of(text: str) -> Features:
    """Return the features of the first 600 characters of `text`; a text without any letter has them too."""
    plain = normalise(text[:_READ])
    words = np.array([crc32(word.encode()) for word in words_of(plain)], dtype=np.uint32)
    hashed = np.concatenate([words * _SPREAD, *_runs(f" {plain} ")]) >> np.uint32(14)
    places, counts = np.unique(hashed, return_counts=True)
    return Features(places, (1 + np.log(counts)).astype(np.float32))


def _runs(plain: str) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the hashes of the runs of two and of three characters; 32-bit products wrap around."""
    codes = np.frombuffer(plain.encode("utf-32-le"), dtype=np.uint32) * _SPREAD
    two = (codes[:-1] * _RUNS[0]) ^ codes[1:]
    three = (two[:-1] * _RUNS[1]) ^ codes[2:]
    return two * _SPREAD, three * _SPREAD


class Collection:
    """Texts to compare others with, as one sparse matrix: 8 bytes a feature."""

    def __init__(self, texts: Sequence[Features]) -> None:
        """Weigh the features of `texts`, which may be none."""
        sizes = np.array([len(one.places) for one in texts], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) if len(texts) else sizes
        self._places = np.concatenate([np.zeros(0, dtype=np.uint32), *(one.places for one in texts)])
        found_in = np.bincount(self._places, minlength=_PLACES)
        self._rarity = (np.log((1 + len(texts)) / (1 + found_in)) + 1).astype(np.float32)
        counts = np.concatenate([np.zeros(0, dtype=np.float32), *(one.counts for one in texts)])
        weights = counts * self._rarity[self._places]
        lengths = np.sqrt(np.add.reduceat(weights**2, self._starts)) if len(texts) else np.zeros(0)
        self._weights = weights / np.repeat(lengths, sizes).astype(np.float32)

    def likeness(self, text: Features) -> Floats:
        """Return how alike `text` is to each of the texts, `(n_texts,)`: 0 nothing in common, 1 the same features."""
        if not len(self._starts):
            return np.zeros(0, dtype=np.float32)
        weights = text.counts * self._rarity[text.places]
        wanted = np.zeros(_PLACES, dtype=np.float32)
        wanted[text.places] = weights / np.linalg.norm(weights)
        found: Floats = np.add.reduceat(self._weights * wanted[self._places], self._starts)
        return np.clip(found, 0, 1)
