"""Exported rows as parquet, and as a folder that Hugging Face `datasets` loads by `load_dataset(PATH)`.

The folder is laid out as the hub's documentation on manual configuration says: a card (`README.md`) whose YAML names
the files of each split, and the data beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import DataError
from feedback.exports import COLUMNS, Export, Kind, What
from tasks.declaration import Task

DATA_FILE = "data/train-00000-of-00001.parquet"
CARD = "README.md"

_WORDS = pa.list_(pa.string())
_MOMENT = pa.timestamp("us", tz="UTC")
_SAID = [("label", pa.string()), ("labels", _WORDS)]
_PLAIN: Mapping[Kind, Any] = {
    "text": pa.string(),
    "words": _WORDS,
    "flag": pa.bool_(),
    "whole": pa.int64(),
    "share": pa.float64(),
    "moment": _MOMENT,
}
_NESTED: Mapping[str, Any] = {
    "posterior": [*_SAID, ("score", pa.float64())],
    "suggestions": [("label", pa.string()), ("score", pa.float64())],
    "answers": [
        ("answer_id", pa.string()),
        ("annotator", pa.string()),
        ("role", pa.string()),
        ("kind", pa.string()),
        *_SAID,
        ("counted", pa.string()),
        ("seconds", pa.float64()),
        ("revision", pa.int64()),
        ("created_at", pa.string()),
    ],
}


def write_parquet(path: Path, what: What, pages: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Write `pages` of rows into one file, a row group each.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        with pq.ParquetWriter(path, schema_of(what)) as writer:
            for page in pages:
                writer.write_table(pa.Table.from_pylist(list(page), schema=schema_of(what)))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from error


def read_parquet(path: Path, what: What) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the rows that `write_parquet` wrote, numbered from 1.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}") from error
    missing = [name for name in COLUMNS[what] if name not in file.schema_arrow.names]
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}; expected what `regrade export` wrote")
    rows = chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(500))
    yield from enumerate(rows, start=1)


def write_dataset(folder: Path, export: Export, pages: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Write the card and the data into `folder`, which is made if need be.

    Raises:
        DataError: it cannot be written.
    """
    try:
        (folder / DATA_FILE).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(folder / DATA_FILE, export.what, pages)
        (folder / CARD).write_text(_card(export.task, export.what), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error


def schema_of(what: What) -> Any:
    """Return the parquet schema of rows of `what`."""
    return pa.schema(
        [
            (name, pa.list_(pa.struct(_NESTED[name])) if kind == "json" else _PLAIN[kind])
            for name, kind in COLUMNS[what].items()
        ]
    )


def _card(task: Task, what: What) -> str:
    """Return a dataset card; JSON strings and lists are YAML as they stand."""
    said = json.dumps
    columns = "\n".join(f"- `{name}`" for name in COLUMNS[what])
    labels = "\n".join(
        f"- `{label.name}`" + (f": {label.description}" if label.description else "") for label in task.labels
    )
    title = task.title or task.name
    return f"""---
pretty_name: {said(f"{title}, {what}", ensure_ascii=False)}
language: {said(task.languages)}
task_categories: ["text-classification"]
tags: ["human-feedback"]
configs:
- config_name: default
  data_files:
  - split: train
    path: {DATA_FILE}
---

# {title}: {what}

{task.description or "Texts with what people said of them."} Exported by Regrade from the task `{task.name}`, revision
{task.revision}. The texts are redacted and may still be personal data.

## Labels

{labels}

## Columns

{columns}
"""
