"""Snapshots made by hand: a task's own base rows and gold, and what people are to have said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from tasks.catalogue import TaskFolder
from tasks.declaration import OUT_OF_SCOPE
from training.snapshot_rows import Snapshot, SnapshotRow, base_row
from training.sources import gather


def snapshot_of(folder: TaskFolder, reviewed: Sequence[SnapshotRow] = (), *, base: bool = True) -> Snapshot:
    """Return a snapshot of the task's base rows, where `base`, and of `reviewed` ones; it is in no store."""
    sources = gather(folder)
    own = [base_row(row, row.text) for row in [*sources.rows, *sources.outside]] if base else []
    rows = [*own, *reviewed]
    content = json.dumps([astuple(row) for row in rows], default=str)
    return Snapshot(
        task=folder.task.name,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        number=1,
        rows=[row for row in rows if row.label != OUT_OF_SCOPE],
        outside=[row for row in rows if row.label == OUT_OF_SCOPE],
        gold=sources.gold,
        aside=[],
        path=Path("snapshot.parquet"),
        previous=None,
        revision=folder.task.revision,
        new_reviewed=len(reviewed),
    )
