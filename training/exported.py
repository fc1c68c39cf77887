"""Files that `regrade export` wrote, on their way back."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from core.errors import DataError
from feedback.exports import What
from feedback.formats import read_csv, read_json_lines
from training.rows import CSV, JSON_LINES, PARQUET

_MARKS: dict[What, frozenset[str]] = {
    "resolutions": frozenset({"item_id", "resolution_id", "text", "posterior"}),
    "answers": frozenset({"item_id", "answer_id", "text", "annotator"}),
}
"""Columns that only an export has."""


def exported_what(path: Path) -> What | None:
    """Return what `path` holds if an export wrote it, and None for any other file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        names = frozenset(_columns(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; give a CSV, JSONL or parquet file in UTF-8") from error
    return next((what for what, marks in _MARKS.items() if marks <= names), None)


def count_lines(path: Path) -> int:
    """Return how far `read_exported` counts in `path`."""
    if path.suffix.lower() in PARQUET:
        import pyarrow.parquet  # noqa: PLC0415 - a large library that only parquet needs

        rows: int = pyarrow.parquet.read_metadata(path).num_rows
        return rows
    with path.open("rb") as file:
        return sum(1 for _ in file)


def read_exported(path: Path, what: What) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the rows of an export with their lines, or what is wrong with one; takes little memory.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    if path.suffix.lower() in PARQUET:
        from training.tables import read_parquet  # noqa: PLC0415

        yield from read_parquet(path, what)
        return
    read = read_json_lines if path.suffix.lower() in JSON_LINES else read_csv
    with path.open(encoding="utf-8", newline="" if read is read_csv else "\n") as file:
        try:
            yield from read(file, what)
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8; save it as UTF-8") from error


def _columns(path: Path) -> Sequence[str]:
    """Return the names of a file's columns; none where it cannot be an export."""
    kind = path.suffix.lower()
    if kind in PARQUET:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415

        try:
            names: list[str] = pyarrow.parquet.read_schema(path).names
        except pyarrow.ArrowException:
            return []
        return names
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind in JSON_LINES:
            return _keys(file.readline())
        return next(csv.reader(file), []) if kind in CSV else []


def _keys(line: str) -> Sequence[str]:
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        return []
    return list(first) if isinstance(first, dict) else []
