"""Rows of the training data in a task's folder, as examples of its labels."""

from __future__ import annotations

import csv
import threading
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from core.redaction import Redactor
from core.text import text_fault
from tasks.catalogue import TaskFolder

_KEPT = 20
"""Examples of a label that are kept."""

_READ = 50_000
"""Rows of a file that are looked at."""


class StarterTexts:
    """A few training texts of each label of a task, redacted; read again when the file has changed."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._turn = threading.Lock()
        self._kept: dict[Path, tuple[tuple[int, int], Mapping[str, Sequence[str]]]] = {}

    def labelled(self, folder: TaskFolder, label: str) -> Sequence[str]:
        """Return up to 20 texts that the task's training data calls `label`; none where it has no such file."""
        path = folder.train_file
        try:
            about = path.stat()
            stamp = (about.st_mtime_ns, about.st_size)
            with self._turn:
                if path not in self._kept or self._kept[path][0] != stamp:
                    self._kept[path] = stamp, _read(path, Redactor(folder.task.redact))
                texts = self._kept[path][1]
        except (OSError, UnicodeDecodeError, csv.Error):  # what cannot be read is said where it is trained from
            return ()
        return texts.get(label, ())


def _read(path: Path, redact: Redactor) -> dict[str, list[str]]:
    """Return the first texts of each label; every text stands once, and none that could not be a text."""
    found: dict[str, list[str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in islice(csv.DictReader(file), _READ):
            text, label = row.get("text"), row.get("label")
            if not text or not label or text_fault(text) is not None:
                continue
            texts = found.setdefault(label, [])
            if len(texts) < _KEPT and text not in texts:
                texts.append(redact(text))
    return found


def base_texts(folder: TaskFolder, most: int) -> list[str]:
    """Return up to `most` texts of the task's training data, as they stand and spread over the file.

    None where it has no such file, or it cannot be read: that is said where it is trained from.
    """
    try:
        with folder.train_file.open(encoding="utf-8-sig", newline="") as file:
            rows = [row.get("text") or "" for row in islice(csv.DictReader(file), _READ)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    texts = [text for text in rows if text_fault(text) is None]
    step = max(1, len(texts) // most)
    return texts[::step][:most]
