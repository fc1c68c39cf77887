"""What may train: rows redacted, copies and contradictions set aside, nothing that measures."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.redaction import Redactor
from core.text import text_hash
from tasks.declaration import OUT_OF_SCOPE, Task
from training.near import near_twins
from training.rows import Row, RowFault


@dataclass(frozen=True)
class Cleaned:
    """Rows of a task's labels in `rows` and out-of-scope ones in `outside`; `aside` says what is not used, by line."""

    rows: list[Row]
    outside: list[Row]
    aside: list[RowFault] = field(default_factory=list)


def clean_rows(rows: Sequence[Row], task: Task, gold: Sequence[Row] = ()) -> Cleaned:
    """Prepare `rows` for learning `task`: redacted, of its labels, each text once, and none of `gold` or like it.

    Exact copies are those with the same hash of the normalised text. A text with two different labels is set aside
    altogether, since nobody can tell here which is right. Near-copies of gold rows are kept for measuring.
    """
    redact = Redactor(task.redact)
    aside: list[RowFault] = []
    known = [replace(row, text=redact(row.text)) for row in _of_task(rows, task, aside)]
    unique = _without_copies(known, aside)
    unseen = _without_gold(unique, [redact(row.text) for row in gold], aside)
    inside = [row for row in unseen if row.label != OUT_OF_SCOPE]
    outside = [row for row in unseen if row.label == OUT_OF_SCOPE]
    return Cleaned(inside, outside, sorted(aside, key=lambda fault: fault.line))


def clean_gold(rows: Sequence[Row], task: Task) -> Cleaned:
    """Prepare gold `rows`: only rows of unknown labels are set aside; copies stay, as they are part of the traffic."""
    aside: list[RowFault] = []
    known = _of_task(rows, task, aside)
    inside = [row for row in known if row.label != OUT_OF_SCOPE]
    return Cleaned(inside, [row for row in known if row.label == OUT_OF_SCOPE], aside)


def snapshot_hash(rows: Sequence[Row]) -> str:
    """Return the SHA-256 of the texts and labels of `rows`, whatever their order, as 64 hexadecimal digits."""
    lines = sorted(json.dumps([row.text, row.label], ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _of_task(rows: Sequence[Row], task: Task, aside: list[RowFault]) -> list[Row]:
    names = {*task.label_names, OUT_OF_SCOPE}
    known = []
    for row in rows:
        if row.label in names:
            known.append(row)
        else:
            aside.append(RowFault(row.line, f"label {row.label!r} is not one of {task.name}'s; correct or declare it"))
    return known


def _without_copies(rows: Sequence[Row], aside: list[RowFault]) -> list[Row]:
    by_hash: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_hash[text_hash(row.text)].append(row)
    kept = []
    for copies in by_hash.values():
        first, *others = copies
        labels = sorted({str(row.label) for row in copies})
        if len(labels) > 1:
            said = " and ".join(repr(label) for label in labels)
            aside.extend(RowFault(row.line, f"same text labelled {said}; decide which is right") for row in copies)
            continue
        kept.append(first)
        aside.extend(RowFault(row.line, f"copy of line {first.line}") for row in others)
    return kept


def _without_gold(rows: Sequence[Row], gold: Sequence[str], aside: list[RowFault]) -> list[Row]:
    hashes = {text_hash(text) for text in gold}
    twins = near_twins([row.text for row in rows], gold).tolist()
    kept = []
    for row, twin in zip(rows, twins, strict=True):
        if text_hash(row.text) in hashes:
            aside.append(RowFault(row.line, "copy of a gold row; kept for measuring"))
        elif twin:
            aside.append(RowFault(row.line, "near-copy of a gold row; kept for measuring"))
        else:
            kept.append(row)
    return kept
