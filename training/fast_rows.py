"""Which of a snapshot's rows a fast run learns from, and which ones certify what it made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.runner import Floats
from tasks.declaration import Task
from training.held_out import HeldOut, hashes_of
from training.near import ALIKE, near_twins
from training.paired import OUTSIDE
from training.rows import Row
from training.snapshot_rows import Snapshot
from training.snapshot_table import Table, sources_of, table_of
from training.split import Division

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class FastRows:
    """All `n` rows of a snapshot, those of no label last, with their `table` and `embeddings` `(n, width)`.

    `learn` are the rows to learn from, `certify` those that the champion's encoder and head have never seen, and
    `scope` those that out-of-scope statistics are made of, `(n,)` each.
    """

    rows: list[Row]
    table: Table
    embeddings: Floats
    learn: Flags
    certify: Flags
    scope: Flags

    @property
    def division(self) -> Division:
        """The same as other ways of learning tell of it."""
        own = self.table.targets != OUTSIDE
        taught = [self.rows[at] for at in np.flatnonzero(self.learn & own)]
        outside = [self.rows[at] for at in np.flatnonzero(self.learn & ~own)]
        certification = [self.rows[at] for at in np.flatnonzero(self.certify)]
        return Division(taught, {"train": list(range(len(taught)))}, outside, certification, {})


def lay_out_rows(snapshot: Snapshot, task: Task, held: HeldOut | None, embeddings: Floats) -> FastRows:
    """Sort the rows of `snapshot`, whose `embeddings` are in its order, rows of no label last.

    What people answered is always learnt from; held-out rows like it then certify nothing. Where it is not known what
    the champion held out, nothing certifies.
    """
    sources = sources_of(snapshot, task)
    rows = [*sources.rows, *sources.outside]
    table = table_of([*snapshot.rows, *snapshot.outside], task, task.retrain.fast_weight)
    held = held or HeldOut()
    hashes = hashes_of([row.text for row in rows])
    base = ~table.reviewed
    kept = base & np.array([digest in held.certification for digest in hashes], dtype=np.bool_)
    unfitted = base & np.array([digest in held.unfitted for digest in hashes], dtype=np.bool_)
    learn, scope = ~kept, ~kept & ~unfitted & (table.targets != OUTSIDE)
    return FastRows(rows, table, embeddings, learn, kept & ~_answered_alike(rows, kept, table.reviewed), scope)


def _answered_alike(rows: list[Row], kept: Flags, reviewed: Flags) -> Flags:
    """Tell which of the `kept` rows are like one that people answered, `(n,)`."""
    places = np.flatnonzero(kept)
    answered = [rows[at].text for at in np.flatnonzero(reviewed)]
    found = np.zeros(len(rows), dtype=np.bool_)
    found[places] = near_twins([rows[at].text for at in places], answered, ALIKE)
    return found
