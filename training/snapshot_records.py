"""The rows of a snapshot's file: its columns, what they mean, and the hash of what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from training.rows import Row
from training.snapshot_rows import Aside, SnapshotRow

_WORDS = pa.list_(pa.string())
_SOFT = pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())]))
_LINEAGE = (
    "source", "item_id", "resolution_id", "prediction_id", "model_version", "revision", "answer_ids", "annotators",
    "language", "subject", "line", "doubted", "resolved_at",
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("use", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("soft", _SOFT),
        ("weight", pa.float64()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("item_id", pa.string()),
        ("resolution_id", pa.string()),
        ("prediction_id", pa.string()),
        ("model_version", pa.string()),
        ("revision", pa.int64()),
        ("answer_ids", _WORDS),
        ("annotators", _WORDS),
        ("language", pa.string()),
        ("subject", pa.string()),
        ("line", pa.int64()),
        ("doubted", pa.bool_()),
        ("resolved_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""Columns of the file. `use` is `train`, `aside` or `gold`; columns that do not apply are null."""


@dataclass(frozen=True)
class Content:
    """What a snapshot holds: rows that `train`, of labels or none, rows set `aside`, and `gold` rows held out."""

    train: Sequence[SnapshotRow]
    aside: Sequence[Aside]
    gold: Sequence[Row]


def content_hash(task: str, revision: int, labels: Sequence[str], records: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of what trains and of the gold set held out, whatever the order of the rows.

    Two data sets of a task are the same if texts, labels, probabilities, weights and resolutions are, under the same
    labels; what was set aside makes no difference.
    """
    lines = sorted(_line(record) for record in records if record["use"] != "aside")
    head = json.dumps([task, revision, list(labels)], ensure_ascii=False)
    return hashlib.sha256("\n".join([head, *lines]).encode()).hexdigest()


def content_of(records: Sequence[Mapping[str, Any]]) -> Content:
    """Return what the rows of a file hold."""
    train = [_row(record) for record in records if record["use"] == "train"]
    aside = [_aside(record) for record in records if record["use"] == "aside"]
    gold = [
        Row(record["text"], record["label"], record["line"] or 0, record["subject"])
        for record in records
        if record["use"] == "gold"
    ]
    return Content(train, aside, gold)


def records_of(content: Content) -> list[dict[str, Any]]:
    """Return the rows of the file that holds `content`."""
    blank = dict.fromkeys(SCHEMA.names)
    train = [
        {**blank, "use": "train", "text": row.text, "label": row.label, "weight": row.weight, "soft": _pairs(row)}
        | {name: getattr(row, name) for name in _LINEAGE}
        for row in content.train
    ]
    aside = [blank | {"use": "aside"} | {name: getattr(one, name) for name in Aside.__slots__} for one in content.aside]
    gold = [
        blank | {"use": "gold", "text": row.text, "label": row.label, "line": row.line, "subject": row.subject}
        for row in content.gold
    ]
    return [*train, *aside, *gold]


def _pairs(row: SnapshotRow) -> list[dict[str, Any]]:
    return [{"label": label, "probability": chance} for label, chance in row.soft]


def _line(record: Mapping[str, Any]) -> str:
    soft = [[pair["label"], pair["probability"]] for pair in record["soft"] or ()]
    about = [record["weight"], record["source"], record["resolution_id"]]
    return json.dumps([record["use"], record["text"], record["label"], soft, *about], ensure_ascii=False)


def _row(record: Mapping[str, Any]) -> SnapshotRow:
    lineage = {name: record[name] for name in _LINEAGE}
    for name in ("answer_ids", "annotators"):
        lineage[name] = tuple(record[name] or ())
    soft = tuple((pair["label"], pair["probability"]) for pair in record["soft"])
    return SnapshotRow(record["text"], record["label"], soft, record["weight"], **lineage)


def _aside(record: Mapping[str, Any]) -> Aside:
    return Aside(**{name: record[name] for name in Aside.__slots__})
