"""A snapshot on disk: one parquet file with every row, named by the hash of its content, and a report without texts.

`REGRADE_HOME/snapshots/TASK/SHA256.parquet` holds the rows that train, those set aside, and the gold set that was held
out; it is never changed, but for erasures, which leave a tombstone: how many rows are gone, and the hash of the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import DataError, NotFoundError
from core.settings import Settings
from feedback.snapshot_erasures import FOLDER
from tasks.declaration import Task
from training.snapshot_records import SCHEMA, Content, content_hash, content_of, records_of
from training.snapshot_rows import Snapshot

DRAFT = ".draft"
"""End of the name of a file that is not in its place yet; before it stands the process that writes it."""

_HEAD = b"regrade"


@dataclass(frozen=True)
class Head:
    """What a file says of itself; `erased` rows were taken out of it by `erasures`, `left` is the hash of the rest."""

    task: str
    sha256: str
    revision: int
    labels: list[str]
    erased: int = 0
    erasures: list[str] = field(default_factory=list)
    left: str | None = None


def snapshot_file(home: Path, task: str, sha256: str) -> Path:
    """Return where the file of a snapshot lies."""
    return home / FOLDER / task / f"{sha256}.parquet"


@dataclass(frozen=True)
class DraftFile:
    """A snapshot that is written, but not in its place yet; `draft` is None where it is there already."""

    sha256: str
    path: Path
    draft: Path | None

    def keep(self) -> None:
        """Put it into its place."""
        if self.draft is not None:
            self.draft.replace(self.path)

    def drop(self) -> None:
        """Leave nothing of what was not kept."""
        if self.draft is not None:
            self.draft.unlink(missing_ok=True)


def write_draft(home: Path, task: Task, content: Content) -> DraftFile:
    """Write a snapshot beside its place, unless it is there already, whole. Only its owner may read it.

    Raises:
        DataError: it cannot be written.
    """
    records = records_of(content)
    labels = task.label_names
    sha256 = content_hash(task.name, task.revision, labels, records)
    path = snapshot_file(home, task.name, sha256)
    if path.exists() and not read_records(path)[0].erased:
        return DraftFile(sha256, path, None)
    return DraftFile(sha256, path, _write(path, records, Head(task.name, sha256, task.revision, labels)))


def read_content(path: Path) -> tuple[Head, Content]:
    """Return what the file of a snapshot holds.

    Raises:
        NotFoundError: it is not there.
        DataError: it cannot be read, or is not what was written.
    """
    head, records = read_records(path)
    found = content_hash(head.task, head.revision, head.labels, records)
    if found != (head.left or head.sha256) or head.sha256 != path.stem:
        raise DataError(f"{path} has changed since it was written; delete it, and take a snapshot anew")
    return head, content_of(records)


def read_records(path: Path) -> tuple[Head, list[dict[str, Any]]]:
    """Return the head and the rows of a snapshot's file, as they are.

    Raises:
        NotFoundError: it is not there.
        DataError: it cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"the rows of snapshot {path.stem} are not here: {path} is missing; it was taken elsewhere")
    try:
        table = pq.read_table(path)
        head = Head(**json.loads(table.schema.metadata[_HEAD]))
        records: list[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a snapshot: {error}; delete it, and take one anew") from error
    return head, records


def rewrite(path: Path, head: Head, records: Sequence[Mapping[str, Any]], erased: int, erasures: Sequence[str]) -> Head:
    """Leave only `records` in the file, `erased` rows fewer than it has; return what it says of itself now.

    Raises:
        DataError: it cannot be written.
    """
    left = content_hash(head.task, head.revision, head.labels, records)
    by = sorted({*head.erasures, *erasures})
    now = replace(head, erased=head.erased + erased, erasures=by, left=left)
    _write(path, records, now).replace(path)
    return now


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write what is told of the snapshot at `path` beside it; it holds no text."""
    report_file = path.with_suffix(".json")
    _draft(report_file, json.dumps(report, indent=1, default=str).encode()).replace(report_file)


def read_report(path: Path) -> dict[str, Any]:
    """Return what is told of the snapshot at `path`.

    Raises:
        NotFoundError: nothing is.
    """
    try:
        report: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFoundError(f"the report of snapshot {path.stem} is missing or unreadable; take one anew") from error
    return report


def read_snapshot(settings: Settings, task: str, sha256: str) -> Snapshot:
    """Return a snapshot that was taken in this home.

    Raises:
        NotFoundError: it is not here.
        DataError: its file cannot be used.
    """
    path = snapshot_file(settings.home, task, sha256)
    _, content = read_content(path)
    return make_snapshot(path, content, read_report(path))


def make_snapshot(path: Path, content: Content, report: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot at `path` as it is handed on."""
    names = set(report["labels"])
    return Snapshot(
        task=report["task"],
        sha256=report["sha256"],
        number=report["number"],
        rows=[row for row in content.train if row.label in names],
        outside=[row for row in content.train if row.label not in names],
        gold=list(content.gold),
        aside=list(content.aside),
        path=path,
        previous=report["previous"],
        revision=report["revision"],
        new_reviewed=report["new_reviewed"],
    )


def _write(path: Path, records: Sequence[Mapping[str, Any]], head: Head) -> Path:
    """Write what is to stand at `path` beside it, and return where."""
    said = {_HEAD: json.dumps(vars(head), ensure_ascii=False).encode()}
    table = pa.Table.from_pylist(list(records), schema=SCHEMA.with_metadata(said))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return _draft(path, sink.getvalue().to_pybytes())


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise DataError(
            f"{path} cannot be written ({error.strerror}); make room, or let this user write there"
        ) from error
    return draft
