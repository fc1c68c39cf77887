"""Labelled rows from CSV, JSON lines or parquet: every row is returned or reported by its line, never dropped."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.text import text_fault
from training.columns import Columns, find_columns

JSON_LINES = {".jsonl", ".ndjson", ".json"}
PARQUET = {".parquet", ".pq"}
CSV = {".csv", ".tsv", ".txt"}

_MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One text and its label (None where the file has no label column); `line` is where it starts in its file.

    `subject` is whom the text is about, where a column says so.
    """

    text: str
    label: str | None
    line: int = 0
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why the row that starts at `line` (from 1; for parquet the row's number) is not used."""

    line: int
    msg: str


@dataclass(frozen=True)
class RowFile:
    """What a file held: usable `rows`, `faults` in file order, and the columns that were read."""

    rows: list[Row]
    faults: list[RowFault]
    columns: Columns


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands at `line`: cells by column, or the reason why they cannot be read; `last` is its last line."""

    line: int
    content: dict[str, Any] | str
    last: int = 0


def read_rows(
    path: Path,
    text_column: str | None = None,
    label_column: str | None = None,
    *,
    labelled: bool = True,
    subject_column: str | None = None,
) -> RowFile:
    """Read `path`; a column that is not named is guessed from the usual names, but for the subject's.

    With `labelled` False a file without a label column is fine.

    Raises:
        DataError: the file is missing, of an unknown kind, not UTF-8, has no such column, or no column can be told
            to be the text or the label; the message lists the columns found.
    """
    records = list(_records(path))
    samples = [record.content for record in records if isinstance(record.content, dict)]
    names = list(dict.fromkeys(name for sample in samples for name in sample))
    if not names:
        raise DataError(f"{path} has no rows; expected a header and at least one row")
    columns = find_columns(path, names, samples, text_column, label_column, labelled=labelled)
    if subject_column is not None and subject_column not in names:
        raise DataError(f"{path} has no column {subject_column!r}; it has: {', '.join(names)}")
    rows: list[Row] = []
    faults: list[RowFault] = []
    for record in records:
        content = record.content
        found = content if isinstance(content, str) else _row(record.line, content, columns, subject_column)
        if isinstance(found, Row):
            rows.append(found)
        else:
            span = f"the row goes on to line {record.last}: " if record.last > record.line else ""
            faults.append(RowFault(record.line, span + found))
    return RowFile(rows, faults, columns)


def _row(line: int, record: dict[str, Any], columns: Columns, subject_column: str | None) -> Row | str:
    """Return the row in `record`, or what is wrong with it."""
    text = record.get(columns.text)
    if text is None or text != text:  # noqa: PLR0124 - NaN is parquet's missing value
        return f"{columns.text} is missing"
    if not isinstance(text, str):
        return f"{columns.text} is {type(text).__name__} {text!r}; expected a string"
    text = text.strip()
    fault = text_fault(text)
    if fault is not None:
        return f"{columns.text} {fault}"
    subject = _label(record.get(subject_column)) if subject_column else None
    if columns.label is None:
        return Row(text, None, line, subject)
    label = _label(record.get(columns.label))
    if label is None:
        return f"{columns.label} is {record.get(columns.label)!r}; expected a label of 1 to {_MAX_LABEL} characters"
    return Row(text, label, line, subject)


def _label(value: Any) -> str | None:
    """Return a label as text: whole numbers become digits; None when `value` is no label."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() else None
    label = str(value).strip() if isinstance(value, str | int) else ""
    return label if 0 < len(label) <= _MAX_LABEL and text_fault(label) is None else None


def _records(path: Path) -> Iterator[_Record]:
    """Yield the records of the file, by its kind."""
    kind = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path} does not exist or is no file; give a CSV, JSONL or parquet file")
    if kind in PARQUET:
        return _parquet_records(path)
    if kind in JSON_LINES:
        return _json_records(_read_text(path))
    if kind in CSV:
        return _csv_records(path, _read_text(path), "\t" if kind == ".tsv" else ",")
    known = ", ".join(sorted(CSV | JSON_LINES | PARQUET))
    raise DataError(f"{path} ends in {kind or 'nothing'!r}, which is no kind of file known; expected one of {known}")


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start:,}; save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the file and its permissions") from error


def _json_records(text: str) -> Iterator[_Record]:
    if text.lstrip().startswith("["):
        raise DataError("the file holds one JSON array; expected JSON lines: one object a line")
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            yield _Record(line, f"is not JSON: {error}")
            continue
        wrong = f"is {type(record).__name__}; expected a JSON object"
        yield _Record(line, record if isinstance(record, dict) else wrong)


def _csv_records(path: Path, text: str, delimiter: str) -> Iterator[_Record]:
    header: list[str] | None = None
    for line, last, cells in _csv_cells(text, delimiter):
        if header is None:
            header = _header(path, line, cells)
        elif isinstance(cells, str):
            yield _Record(line, cells, last)
        elif len(cells) != len(header):
            wrong = f"has {len(cells)} cells; expected {len(header)}: quote texts that hold a {delimiter!r}"
            yield _Record(line, wrong, last)
        else:
            yield _Record(line, dict(zip(header, cells, strict=True)), last)


def _csv_cells(text: str, delimiter: str) -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield first line, last line and cells of each row that is not blank, or what is wrong with one line.

    After a line that cannot be read the next physical line begins a row. A quote that is never closed would otherwise
    take the rest of the file with it.
    """
    csv.field_size_limit(16 * 1024 * 1024)
    lines = list(_lines(text))
    at = 0
    while at < len(lines):
        start, rest = at, map(lines.__getitem__, range(at, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                line, at = at + 1, start + reader.line_num
                if cells:
                    yield line, at, cells
        except csv.Error as error:
            at += 1
            yield at, at, f"cannot be read as CSV: {error}; check its quotes"


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of `text` with their ends: only real line breaks, not the others that `splitlines` knows."""
    for part in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        yield part + "\n"


def _header(path: Path, line: int, cells: Sequence[str] | str) -> list[str]:
    if isinstance(cells, str):
        raise DataError(f"line {line} of {path}, its header, {cells}")
    names = [cell.strip() for cell in cells]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path} has more than one column {repeated[0]!r}; column names must differ")
    return names


def _parquet_records(path: Path) -> Iterator[_Record]:
    import pyarrow  # noqa: PLC0415 - a large library that only parquet needs
    import pyarrow.parquet  # noqa: PLC0415

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}") from error
    for number, record in enumerate(table.to_pylist(), start=1):
        yield _Record(number, record)
