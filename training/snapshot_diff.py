"""What changed from one snapshot to another: texts that came, went, or have another label now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.text import text_hash
from training.snapshot_rows import Snapshot, SnapshotRow


@dataclass(frozen=True)
class Relabelled:
    """A text that is in both, and its row in each."""

    before: SnapshotRow
    after: SnapshotRow


@dataclass(frozen=True)
class SnapshotDiff:
    """Rows that were `added`, `removed` or `relabelled`; `by_label` counts all rows of each label, before and after.

    `other` rows have the same label, and another weight, other probabilities, or another source.
    """

    added: list[SnapshotRow]
    removed: list[SnapshotRow]
    relabelled: list[Relabelled]
    other: int
    by_label: dict[str, tuple[int, int]]


def compare(before: Snapshot, after: Snapshot) -> SnapshotDiff:
    """Return what changed; texts are the same if their normalised forms are."""
    old, new = _by_text(before), _by_text(after)
    both = [(old[key], row) for key, row in new.items() if key in old]
    counts = [Counter(row.label for row in rows.values()) for rows in (old, new)]
    return SnapshotDiff(
        added=[row for key, row in new.items() if key not in old],
        removed=[row for key, row in old.items() if key not in new],
        relabelled=[Relabelled(one, other) for one, other in both if one.label != other.label],
        other=sum(one.label == other.label and _differs(one, other) for one, other in both),
        by_label={label: (counts[0][label], counts[1][label]) for label in sorted({*counts[0], *counts[1]})},
    )


def _by_text(snapshot: Snapshot) -> Mapping[str, SnapshotRow]:
    rows: Sequence[SnapshotRow] = [*snapshot.rows, *snapshot.outside]
    return {text_hash(row.text): row for row in rows}


def _differs(one: SnapshotRow, other: SnapshotRow) -> bool:
    return (one.weight, one.soft, one.source, one.resolution_id) != (
        other.weight,
        other.soft,
        other.source,
        other.resolution_id,
    )
