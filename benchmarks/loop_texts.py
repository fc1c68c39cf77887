"""BANKING77 as a product meets it: five examples a label to begin with, a gold set, and a stream of what is left."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import data_folder
from core.redaction import KINDS, Redactor
from core.text import text_hash

Labelled = list[tuple[str, str]]
"""Redacted texts, each with its true label."""

STARTS_WITH = 5
GOLD = 4
"""Texts of each label."""


@dataclass(frozen=True)
class Texts:
    """The `start` rows, the `gold` set, the `stream` in its order, the `test` rows, and the true label of each text."""

    start: Labelled
    gold: Labelled
    stream: list[str]
    test: Labelled
    truth: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        """The names of the labels, sorted."""
        return sorted({label for _, label in self.start})

    @property
    def n_texts(self) -> int:
        """How many texts there are to learn from: the whole of which answers are a share."""
        return len(self.truth)

    @property
    def given(self) -> int:
        """How many labels are there before anybody answers; they count as answers."""
        return len(self.start) + len(self.gold)


def read_texts(seed: int) -> Texts:
    """Draw start, gold set and order of the stream by `seed`; of exact copies the first row counts."""
    rows = _read("train")
    truth: dict[str, str] = {}
    seen: set[str] = set()
    for text, label in rows:
        if text_hash(text) not in seen:
            seen.add(text_hash(text))
            truth[text] = label
    order = [list(truth)[place] for place in np.random.default_rng(seed).permutation(len(truth))]
    start, rest = _take(order, truth, STARTS_WITH)
    gold, rest = _take(rest, truth, GOLD)
    return Texts(start, gold, rest, _read("test"), truth)


def _read(part: str) -> Labelled:
    redact = Redactor(KINDS)
    path: Path = data_folder() / "banking77" / f"{part}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [(redact(row["text"]), row["category"]) for row in csv.DictReader(file)]


def _take(texts: Sequence[str], truth: Mapping[str, str], each: int) -> tuple[Labelled, list[str]]:
    """Return the first `each` texts of every label, and all others in their order."""
    taken: dict[str, list[str]] = {}
    rest = []
    for text in texts:
        mine = taken.setdefault(truth[text], [])
        if len(mine) < each:
            mine.append(text)
        else:
            rest.append(text)
    return [(text, label) for label in sorted(taken) for text in taken[label]], rest
