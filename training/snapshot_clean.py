"""What of the rows at hand may train, by stated rules; what may not is told, and what people can settle is asked.

Pure: rows go in, rows come out. Two texts are the same if the hash of their normalised form is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.text import text_fault, text_hash
from feedback.reviewed_items import ReviewedItem
from training.snapshot_rows import Aside, SnapshotRow, aside_of

UNUSABLE: Final = "row that cannot be read"
BROKEN: Final = "empty or broken text"
FOREIGN: Final = "label that the task does not have"
UNCERTAIN: Final = "label that is uncertain under today's revision"
UNTRUSTED: Final = "answered only by people who are not trusted"
QUARANTINED: Final = "answers in quarantine"
GOLD: Final = "copy of a gold row, kept for measuring"
NEAR_GOLD: Final = "near-copy of a gold row, kept for measuring"
AUDIT: Final = "copy or near-copy of an audit, kept for measuring"
COPY: Final = "copy of another row"
OVERRULED: Final = "base row that people have answered"
CONTRADICTORY: Final = "contradictory labels"
LABEL_ERROR: Final = "likely label error"

Twins = Callable[[Sequence[str]], Sequence[bool]]
"""Tells of each text whether it is a near-copy of what measures."""

_UNDECODED = "\ufffd"


@dataclass
class Cleaning:
    """What has been found so far: rows `aside`, items `doubted` (item id → resolution), and `contradictory` texts."""

    aside: list[Aside] = field(default_factory=list)
    doubted: dict[str, str] = field(default_factory=dict)
    contradictory: list[str] = field(default_factory=list)

    def keep(self, rows: Iterable[SnapshotRow], fault: Callable[[SnapshotRow], str | None]) -> list[SnapshotRow]:
        """Return the rows that `fault` has no reason against; the others are set aside."""
        kept = []
        for row in rows:
            reason = fault(row)
            if reason is None:
                kept.append(row)
            else:
                self.set_aside(row, reason)
        return kept

    def set_aside(self, row: SnapshotRow, reason: str, detail: str = "") -> None:
        """Leave `row` out."""
        self.aside.append(aside_of(row, reason, detail))

    def readable(self, rows: Iterable[SnapshotRow]) -> list[SnapshotRow]:
        """Leave out empty and broken texts: blank, too long, or with U+FFFD where a byte could not be read."""
        return self.keep(rows, lambda row: BROKEN if text_fault(row.text) or _UNDECODED in row.text else None)

    def unmeasured(
        self, rows: Sequence[SnapshotRow], hashes: Collection[str], twins: Twins, copy: str, near: str
    ) -> list[SnapshotRow]:
        """Leave out copies (of `hashes`) and near-copies of what measures; `copy` and `near` say so."""
        fresh = self.keep(rows, lambda row: copy if text_hash(row.text) in hashes else None)
        alike = dict(zip(map(id, fresh), twins([row.text for row in fresh]), strict=True))
        return self.keep(fresh, lambda row: near if alike[id(row)] else None)

    def settled(
        self, base: Sequence[SnapshotRow], reviewed: Sequence[SnapshotRow], asked_once: Collection[str]
    ) -> list[SnapshotRow]:
        """Return each text once: what people answered rather than the base row, and none with two labels.

        `asked_once` are the items that were not sent back before: those with contradictory answers are, and so are
        base rows that contradict each other, as texts. Copies leave the newest answer, or the first row of the file.
        """
        groups: dict[str, tuple[list[SnapshotRow], list[SnapshotRow]]] = defaultdict(lambda: ([], []))
        for row in base:
            groups[text_hash(row.text)][0].append(row)
        for row in reviewed:
            groups[text_hash(row.text)][1].append(row)
        kept = [self._settle(rows, said, asked_once) for rows, said in groups.values()]
        return sorted((row for row in kept if row is not None), key=order_of)

    def _settle(
        self, base: Sequence[SnapshotRow], said: Sequence[SnapshotRow], asked_once: Collection[str]
    ) -> SnapshotRow | None:
        """Return the row of one text that trains, if one does."""
        deciding = said or base
        labels = sorted({row.label for row in deciding})
        if len(labels) > 1:
            detail = " and ".join(labels)
            self.aside += [aside_of(row, CONTRADICTORY, detail) for row in [*base, *said]]
            self.doubted |= {str(row.item_id): str(row.resolution_id) for row in said if row.item_id in asked_once}
            if not said:
                self.contradictory.append(base[0].text)
            return None
        one = max(deciding, key=order_of) if said else base[0]
        self.aside += [aside_of(row, COPY) for row in deciding if row is not one]
        self.aside += [aside_of(row, OVERRULED) for row in base if said]
        return one


def order_of(row: SnapshotRow) -> tuple[str, int, str]:
    """Return the place of a row: base rows as in their file, then reviewed ones, the oldest resolution first."""
    return row.source, row.line or 0, row.resolution_id or ""


def asked_once(items: Iterable[ReviewedItem]) -> set[str]:
    """Return the items that people were asked about only once: what was sent back before is not sent back again."""
    return {item.item_id for item in items if item.round == 1}
