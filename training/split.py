"""Cut rows into parts: every label in its share, and near-copies on one side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import floor

import numpy as np

from training.near import groups
from training.rows import Row

KEEP = 2
"""Rows of each label that always stay in the first part, however small the label."""


SHARES = {"validation": 0.1, "calibration": 0.1}
"""What is held out of the rows to learn from, to choose and to calibrate; a recipe may fit on it in the end."""

CERTIFICATION_SHARE = 0.1
MOST_CERTIFICATION = 400
"""Rows set aside to certify the error of unreviewed answers, at most: more would cost accuracy and tell little more."""

_ENOUGH_OUTSIDE = 20


@dataclass(frozen=True)
class Division:
    """Rows to learn from with their positions by part, and the rows that serve for nothing but certifying.

    `parts` are `train`, `validation` and `calibration`, positions in `rows`. `outside` rows of no label fit the
    out-of-scope curve. `certification` holds rows of both kinds, which no model has seen in any way. `shares` tells
    how large a share each part was to be.
    """

    rows: list[Row]
    parts: dict[str, list[int]]
    outside: list[Row]
    certification: list[Row]
    shares: dict[str, float]


def divide(rows: Sequence[Row], outside: Sequence[Row], seed: int, learnt: AbstractSet[int] = frozenset()) -> Division:
    """Divide clean `rows`, and `outside` rows of no label, which certify in the same proportion if there are 20.

    Rows at the positions `learnt` are all learnt from, and so are their near-copies.
    """
    share = min(CERTIFICATION_SHARE, MOST_CERTIFICATION / max(len(rows), 1))
    shares = {**SHARES, "certification": share}
    parts = split_rows(rows, shares, seed, learnt)
    certification = parts.pop("certification")
    learning = sorted(position for part in parts.values() for position in part)
    place = {position: at for at, position in enumerate(learning)}
    few = len(outside) < _ENOUGH_OUTSIDE
    strange = split_rows(outside, {"certification": 0.0 if few else share}, seed)
    return Division(
        [rows[position] for position in learning],
        {name: [place[position] for position in part] for name, part in parts.items()},
        [outside[position] for position in strange["train"]],
        [*(rows[position] for position in certification), *(outside[at] for at in strange["certification"])],
        shares,
    )


def split_rows(
    rows: Sequence[Row], shares: Mapping[str, float], seed: int, stay: AbstractSet[int] = frozenset()
) -> dict[str, list[int]]:
    """Return positions of `rows` by part: the named `shares` (each above 0, together below 1) and the rest, `train`.

    Groups of near-copies go to a part whole. Each label gets its share rounded down, and then groups in a random
    order fill the parts up to their overall share; a label keeps at least `KEEP` rows, and half of its rows, in
    `train`, so that a label of one or two rows is there entirely. Groups with a row at one of the positions `stay` are
    there too. The same seed gives the same parts.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups([row.text for row in rows]).tolist()):
        members[group].append(position)
    order = np.random.default_rng(seed).permutation(len(members))
    pool = [members[group] for group in order.tolist() if stay.isdisjoint(members[group])]
    sharing = _Sharing([row.label or "" for row in rows], shares)
    for rounding in (False, True):
        pool = [group for group in pool if not sharing.place(group, fill=rounding)]
    return sharing.parts()


class _Sharing:
    """Parts being filled: what each label may still give, and what each part may still take."""

    def __init__(self, labels: Sequence[str], shares: Mapping[str, float]) -> None:
        self.labels = labels
        self._filled: dict[str, list[int]] = {name: [] for name in shares}
        self._in_train = [True] * len(labels)
        totals = Counter(labels)
        self._spare = {label: n - max(KEEP, (n + 1) // 2) for label, n in totals.items()}
        self._room = {name: round(len(labels) * share) for name, share in shares.items()}
        self._quota = {name: {label: floor(n * share) for label, n in totals.items()} for name, share in shares.items()}

    def parts(self) -> dict[str, list[int]]:
        """Return the positions of each part as it is now; `train` holds all that was not placed, in order."""
        return {"train": [at for at, here in enumerate(self._in_train) if here], **self._filled}

    def place(self, group: Sequence[int], *, fill: bool) -> bool:
        """Move `group` from `train` to the part that lacks it most; with `fill`, a row over a label's share is fine."""
        wanted = Counter(self.labels[position] for position in group)
        if any(self._spare[label] < n for label, n in wanted.items()):
            return False
        fitting = [
            part
            for part, quota in self._quota.items()
            if self._room[part] >= len(group) and all(quota[label] + fill >= n for label, n in wanted.items())
        ]
        if not fitting:
            return False
        self._move(group, wanted, max(fitting, key=self._room.__getitem__))
        return True

    def _move(self, group: Sequence[int], wanted: Mapping[str, int], part: str) -> None:
        for position in group:
            self._in_train[position] = False
        self._filled[part].extend(group)
        self._room[part] -= len(group)
        for label, n in wanted.items():
            self._quota[part][label] -= n
            self._spare[label] -= n
