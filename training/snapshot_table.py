"""A snapshot's rows as learning wants them: as plain rows, and as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from service.runner import Floats
from tasks.declaration import Task
from training.paired import OUTSIDE
from training.rows import Row, RowFault
from training.snapshot_rows import Snapshot, SnapshotRow
from training.sources import Sources


def sources_of(snapshot: Snapshot, task: Task) -> Sources:
    """Return the rows of `snapshot` as any training has them; a row's `line` is its place, from 1, `outside` last.

    Raises:
        DataError: fewer than two labels have a row.
    """
    rows = [Row(row.text, row.label, line) for line, row in enumerate(snapshot.rows, start=1)]
    outside = [Row(row.text, row.label, len(rows) + line) for line, row in enumerate(snapshot.outside, start=1)]
    counts = Counter(row.label for row in rows)
    if len(counts) < 2:
        raise DataError(
            f"snapshot {snapshot.number} of {task.name} has rows for {len(counts)} of its labels; expected at least 2: "
            "add rows to train.csv, or have items reviewed"
        )
    return Sources(
        path=snapshot.path,
        rows=rows,
        outside=outside,
        gold=snapshot.gold,
        faults=[RowFault(one.line or 0, one.reason) for one in snapshot.aside],
        gold_faults=[],
        empty_labels=[name for name in task.label_names if name not in counts],
    )


@dataclass(frozen=True)
class Table:
    """What `n` rows should come to.

    `targets` `(n,)` are the numbers of their labels, or -1; `soft` `(n, n_labels)` the probabilities of the labels, all
    alike for a row that no label covers; `weights` `(n,)` how much people's words count; `reviewed` `(n,)` which rows
    people answered.
    """

    targets: NDArray[np.int64]
    soft: Floats
    weights: Floats
    reviewed: NDArray[np.bool_]


def table_of(rows: Sequence[SnapshotRow], task: Task, reviewed_weight: float) -> Table:
    """Return the table of `rows`, those that people answered counting `reviewed_weight` times."""
    places = {name: place for place, name in enumerate(task.label_names)}
    targets = np.array([places.get(row.label, OUTSIDE) for row in rows], dtype=np.int64)
    soft = np.zeros((len(rows), len(places)), dtype=np.float32)
    for at, row in enumerate(rows):
        for name, probability in row.soft:
            if name in places:
                soft[at, places[name]] = probability
    sums = soft.sum(axis=1, keepdims=True)
    soft = np.where((targets == OUTSIDE)[:, None] | (sums <= 0), 1.0 / len(places), soft / np.maximum(sums, 1e-9))
    reviewed = np.array([row.source == "reviewed" for row in rows], dtype=np.bool_)
    weights = np.array([row.weight for row in rows]) * np.where(reviewed, reviewed_weight, 1.0)
    return Table(targets, soft.astype(np.float32), weights.astype(np.float32), reviewed)
