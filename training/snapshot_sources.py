"""What a snapshot is made from, read: base data, what people resolved, and what measures and must be kept out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.redaction import Redactor
from core.text import text_hash
from feedback.deployments import live_deployments
from feedback.measuring import read_audits
from feedback.quarantines import Sources, read_sources
from feedback.reviewed_items import ReviewedItem, Reviews, read_reviews
from feedback.store import Store
from tasks.catalogue import TaskFolder
from tasks.declaration import OUT_OF_SCOPE
from training.clean import clean_gold
from training.rows import Row, read_rows
from training.snapshot_clean import FOREIGN, UNUSABLE
from training.snapshot_rows import Aside, SnapshotRow, base_row


@dataclass(frozen=True)
class Material:
    """Everything that a snapshot of a task is made from.

    `base` rows and what is wrong with others (`faults`); `reviews` and what is known of their `sources`; `gold` rows
    and texts of `audits`, redacted; the live version is the `champion`, None while nothing is live.
    """

    base: list[SnapshotRow]
    faults: list[Aside]
    reviews: Reviews
    sources: Sources
    gold: list[Row]
    audits: list[str]
    champion: str | None

    @property
    def gold_texts(self) -> list[str]:
        """The texts of the gold set."""
        return [row.text for row in self.gold]


def read_material(store: Store, folder: TaskFolder) -> Material:
    """Read what a snapshot of the task in `folder` is made from.

    Raises:
        DataError: a data file cannot be used.
        UnavailableError: the store is away.
    """
    task = folder.task
    reviews = read_reviews(store, task)  # before the files: an erasure that changes them is noticed by it
    base, faults = _read_base(folder)
    live = live_deployments(store).get(task.name)
    return Material(
        base,
        faults,
        reviews,
        read_sources(store, task.name),
        _read_gold(folder),
        [audit.text for audit in read_audits(store, task)],
        live.version if live else None,
    )


def is_quarantined(item: ReviewedItem, since: Mapping[str, datetime]) -> bool:
    """Tell whether everybody who said what the item is resolved as said it in quarantine, by when theirs began."""
    words = [word for word in item.words if word.value == item.value]
    return bool(words) and all(one.annotator in since and one.said_at >= since[one.annotator] for one in words)


def _read_base(folder: TaskFolder) -> tuple[list[SnapshotRow], list[Aside]]:
    """Return the usable rows of `train.csv`, redacted, and the others; neither where there is no such file."""
    if not folder.train_file.exists():
        return [], []
    file, redact = read_rows(folder.train_file), Redactor(folder.task.redact)
    names = {*folder.task.label_names, OUT_OF_SCOPE}
    rows = [base_row(row, redact(row.text)) for row in file.rows]
    faults = [Aside("", "", UNUSABLE, "base", fault.msg, fault.line) for fault in file.faults]
    foreign = [
        Aside(row.text, row.label, FOREIGN, "base", "", row.line, None, None, row.subject)
        for row in rows
        if row.label not in names
    ]
    return [row for row in rows if row.label in names], [*faults, *foreign]


def _read_gold(folder: TaskFolder) -> list[Row]:
    """Return the gold rows in the order of the file, those of labels first."""
    if not folder.gold_file.exists():
        return []
    gold, redact = clean_gold(read_rows(folder.gold_file).rows, folder.task), Redactor(folder.task.redact)
    return [Row(redact(row.text), row.label, row.line, row.subject) for row in [*gold.rows, *gold.outside]]


def hashes_of(texts: list[str]) -> set[str]:
    """Return the hashes of the normalised texts."""
    return set(map(text_hash, texts))
