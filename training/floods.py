"""Floods: one source whose answers, in a hurry or by habit, are not what anybody would say. Pure.

What is implausible is told by the live model, which has not learnt from these answers: a label that it gives a
probability below 0.05. Honest people say such labels too, above all where the model is unsure or new to a topic, so
that the share that the model itself expects is the measure, not none. Small batches are left to the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from feedback.quarantines import Suspicion
from service.runner import Floats

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BURST = 100
BURST_WITHIN = timedelta(hours=1)
"""So many answers of one person within so long are looked at as one burst."""

IMPLAUSIBLE = 0.05
"""Probability below which a label is implausible."""

IMPLAUSIBLE_SHARE = 0.5
TIMES_EXPECTED = 2.0
"""A flood is one of which at least so large a share is implausible, and at least so many times what was expected."""

LEAST_OTHERS, OTHERS_ROWS = 2, 20
"""A source is held against the others where there are so many, with so many rows each."""

SURE = 0.8
FLIPPED, FLIPPED_SHARE = 30, 0.8
"""So many texts, and such a share of those, that the model is surely of one label and a person calls another."""

FLIPPED_BY_OTHERS = 0.2
"""Share from which others call them so too: then it is the model that is wrong."""


@dataclass(frozen=True)
class Heard:
    """Newly reviewed texts of which one person alone gave the label, `n` of them.

    `people` and `at` (who and when) have a place for each; `targets`, `(n,)`, are the labels' numbers, `chances`,
    `(n, n_labels)`, what the live model gives each.
    """

    people: Sequence[str]
    at: Sequence[datetime]
    targets: Ints
    chances: Floats

    def of(self, rows: Sequence[int] | Ints) -> Heard:
        """Return some of the texts, by their places."""
        places = [int(row) for row in rows]
        return Heard(
            [self.people[row] for row in places],
            [self.at[row] for row in places],
            self.targets[places],
            self.chances[places],
        )

    @property
    def given(self) -> Floats:
        """The probability of each label that was given, `(n,)`."""
        return self.chances[np.arange(len(self.targets)), self.targets]

    @property
    def implausible(self) -> Flags:
        """Which labels are implausible, `(n,)`."""
        return self.given < IMPLAUSIBLE

    @property
    def expected(self) -> Floats:
        """How likely it is, by the model, that the right label looks implausible, `(n,)`."""
        return np.asarray(np.where(self.chances < IMPLAUSIBLE, self.chances, 0.0).sum(axis=1))


def find_floods(heard: Heard, labels: Sequence[str]) -> list[Suspicion]:
    """Return the sources whose answers look like a flood, and since when; `labels` are the names by number."""
    found = []
    for person in sorted(set(heard.people)):
        mine = np.array([one == person for one in heard.people], dtype=np.bool_)
        rows = sorted(np.flatnonzero(mine).tolist(), key=lambda row: heard.at[row])
        own, others = heard.of(rows), heard.of(np.flatnonzero(~mine))
        suspicion = _burst(person, own) or _share(person, own, others) or _flip(person, own, others, labels)
        if suspicion is not None:
            found.append(suspicion)
    return found


def _burst(person: str, own: Heard) -> Suspicion | None:
    """Look for the first hundred answers within an hour of which too many are implausible."""
    for start in _hurried(own.at):
        part = own.of(range(start, start + BURST))
        share, expected = float(part.implausible.mean()), float(part.expected.mean())
        if share >= max(IMPLAUSIBLE_SHARE, TIMES_EXPECTED * expected):
            return Suspicion(person, "burst", part.at[0], _figures(own.of(range(start, len(own.at)))))
    return None


def _hurried(at: Sequence[datetime]) -> Iterator[int]:
    for start in range(len(at) - BURST + 1):
        if at[start + BURST - 1] - at[start] <= BURST_WITHIN:
            yield start


def _share(person: str, own: Heard, others: Heard) -> Suspicion | None:
    """Look at a source of most of what is new, and hold it against the others."""
    sizes = [others.people.count(one) for one in set(others.people)]
    if len(own.at) < max(BURST, len(others.at) + 1) or sum(size >= OTHERS_ROWS for size in sizes) < LEAST_OTHERS:
        return None
    share, usual = float(own.implausible.mean()), float(others.implausible.mean())
    if share < max(IMPLAUSIBLE_SHARE, TIMES_EXPECTED * max(usual, float(own.expected.mean()))):
        return None
    return Suspicion(person, "share", own.at[0], _figures(own) | {"of_others": round(usual, 4)})


def _flip(person: str, own: Heard, others: Heard, labels: Sequence[str]) -> Suspicion | None:
    """Look for a label that a source calls by another name nearly always, and nobody else does."""
    for before in np.unique(own.chances.argmax(axis=1)).tolist():
        mine = np.flatnonzero(own.chances[:, before] >= SURE)
        called = np.bincount(own.targets[mine], minlength=len(labels)) if len(mine) else np.zeros(1, dtype=np.int64)
        after, times = int(called.argmax()), int(called.max())
        if after == before or times < max(FLIPPED, FLIPPED_SHARE * len(mine)):
            continue
        theirs = others.targets[others.chances[:, before] >= SURE]
        if len(theirs) and float((theirs == after).mean()) >= FLIPPED_BY_OTHERS:
            continue
        first = next(row for row in mine.tolist() if own.targets[row] == after)
        figures = {"rows": times, "label": labels[before], "called": labels[after]}
        return Suspicion(person, "flip", own.at[first], figures)
    return None


def _figures(part: Heard) -> dict[str, int | float | str]:
    return {
        "rows": len(part.at),
        "implausible": round(float(part.implausible.mean()), 4),
        "expected": round(float(part.expected.mean()), 4),
    }
