"""Which column holds the text and which the label: as named, or guessed from the usual names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DataError

TEXT_NAMES = (
    "text",
    "utterance",
    "message",
    "sentence",
    "headline",
    "title",
    "query",
    "question",
    "content",
    "body",
    "tweet",
    "review",
    "input",
)
LABEL_NAMES = (
    "label",
    "label_text",
    "category",
    "intent",
    "class",
    "sentiment",
    "topic",
    "target",
    "tag",
    "labels",
    "output",
)

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns read; `label` is None where there is none and none is needed."""

    text: str
    label: str | None


def find_columns(
    path: Path,
    names: Sequence[str],
    records: Sequence[dict[str, Any]],
    text: str | None,
    label: str | None,
    *,
    labelled: bool,
) -> Columns:
    """Return the columns to read among `names`; `text` and `label` are the user's choice or None to guess.

    A usual name wins (in any case); of several, the first in the list of usual names. With no usual name, the only
    other column is taken where there are two columns, and the one with the longer texts is the text.

    Raises:
        DataError: a column that was asked for is not there, or none can be guessed.
    """
    for wanted in (text, label):
        if wanted is not None and wanted not in names:
            raise DataError(f"{path} has no column {wanted!r}; it has: {', '.join(names)}")
    found_text = text or _usual(names, TEXT_NAMES, taken=label)
    found_label = label or _usual(names, LABEL_NAMES, taken=found_text)
    if len(names) == 2 and (found_text is None or found_label is None):
        found_text, found_label = _pair(names, records, found_text, found_label)
    if len(names) == 1 and found_text is None:
        found_text = names[0]
    if found_text is None:
        raise DataError(_unclear(path, "text", names))
    if found_label is None and labelled:
        raise DataError(_unclear(path, "label", names))
    return Columns(found_text, found_label)


def _usual(names: Sequence[str], usual: Sequence[str], taken: str | None) -> str | None:
    by_lower = {name.strip().lower(): name for name in reversed(names) if name != taken}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def _pair(
    names: Sequence[str], records: Sequence[dict[str, Any]], text: str | None, label: str | None
) -> tuple[str, str]:
    """Tell apart the only two columns, of which at most one is known already."""
    first, second = names
    if text is not None:
        return text, second if text == first else first
    if label is not None:
        return second if label == first else first, label
    sizes = [sum(len(str(record.get(name, ""))) for record in records[:_SAMPLE]) for name in names]
    return (first, second) if sizes[0] >= sizes[1] else (second, first)


def _unclear(path: Path, what: str, names: Sequence[str]) -> str:
    return (
        f"{path}: no column is clearly the {what}; it has: {', '.join(names)}. "
        f"Name it with --{what}-column, or rename it to {what!r}"
    )
