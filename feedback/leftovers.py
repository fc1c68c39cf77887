"""What files on this host still hold of a text: training reports, and the rows of own tasks' data."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import RegradeError
from core.redaction import Redactor
from core.text import text_hash
from tasks.declaration import read_task

ERASED = "(erased)"
"""What stands in a report where a text was."""

_SWEPT = ("reports", "tensorboard", "runs")
"""Folders of the home with files that training, evaluation and retraining write for people to read."""

_READABLE = {".html", ".txt", ".json", ".jsonl", ".csv", ".md", ".svg", ".tsv"}
"""Files that are rewritten; any other that holds a text is removed."""

_LONG = 16
"""Characters from which a text is looked for anywhere; a shorter one only where it is a whole cell, line or string,
because it may well be a part of other words."""


@dataclass(frozen=True)
class OwnRows:
    """Rows of an own task's data file that hold an erased text: their first `lines`, from 1, and the texts in them."""

    task: str
    file: Path
    lines: tuple[int, ...]
    texts: tuple[str, ...]
    hashes: frozenset[str]

    def remove(self) -> None:
        """Take the rows out of the file, and leave every other byte of it as it is."""
        kept: list[str] = []
        for _, span, text in _records(self.file):
            if text is None or self.hashes.isdisjoint(_hashes(text, _redactor(self.file.parent))):
                kept += span
        draft = self.file.with_name(f".{self.file.name}.draft")
        draft.write_bytes("".join(kept).encode("utf-8", errors="surrogateescape"))
        shutil.copymode(self.file, draft)
        draft.replace(self.file)


def find_own_rows(home: Path, hashes: Collection[str]) -> list[OwnRows]:
    """Return the rows of CSV files of own tasks under `home` whose text, as it is or redacted, is one of `hashes`."""
    wanted = frozenset(hashes)
    found = []
    for file in sorted((home / "tasks").glob("*/*.csv")) if wanted else []:
        redact = _redactor(file.parent)
        rows = [
            (line, text)
            for line, _, text in _records(file)
            if text is not None and not wanted.isdisjoint(_hashes(text, redact))
        ]
        if rows:
            lines, texts = zip(*rows, strict=True)
            found.append(OwnRows(file.parent.name, file, lines, texts, wanted))
    return found


def sweep(home: Path, texts: Collection[str]) -> list[Path]:
    """Take `texts` out of the reports under `home`; return the files that were rewritten or removed."""
    forms = {form for text in texts for form in _forms(text)}
    if not forms:
        return []
    patterns = [re.compile("|".join(some)) for some in _batches(sorted(map(_pattern, forms), key=len, reverse=True))]
    files = (file for name in _SWEPT for file in sorted((home / name).rglob("*")) if file.is_file())
    return [file for file in files if _cleaned(file, patterns)]


def _redactor(folder: Path) -> Redactor:
    """Return the redactor of the task in `folder`; one that looks for everything where it cannot be read."""
    try:
        return Redactor(read_task(folder).redact)
    except RegradeError:
        return Redactor()


def _hashes(text: str, redact: Redactor) -> set[str]:
    valid = text.encode("utf-8", errors="replace").decode()
    return {text_hash(valid), text_hash(redact(valid))}


def _records(file: Path) -> Iterator[tuple[int, list[str], str | None]]:
    """Yield line, physical lines and text of each row of a CSV file; the text of the header is None."""
    content = file.read_bytes().decode("utf-8", errors="surrogateescape")
    lines = list(io.StringIO(content, newline=""))
    reader = csv.reader(lines)
    column, start = None, 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            cells = [""]
        if cells is None:
            return
        span, line = lines[start : reader.line_num], start + 1
        start = reader.line_num
        if column is None:
            names = [cell.removeprefix("\ufeff") for cell in cells]
            column = names.index("text") if "text" in names else 0
            yield line, span, None
        else:
            yield line, span, cells[column] if column < len(cells) else ""


def _forms(text: str) -> Iterator[str]:
    """Yield the ways in which reports may write a text: as it is, in HTML, in JSON, and in one line."""
    for one in (text, " ".join(text.split())):
        yield one
        yield html.escape(one)
        yield html.escape(one, quote=False)
        yield html.escape(one).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
        yield json.dumps(one)[1:-1]
        yield json.dumps(one, ensure_ascii=False)[1:-1]
        yield one.replace('"', '""')


def _pattern(form: str) -> str:
    if len(form) >= _LONG:
        return re.escape(form)
    return rf"(?<![^>\"'\t\n,]){re.escape(form)}(?![^<\"'\t\n,])"


def _batches(patterns: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(patterns), 200):
        yield patterns[start : start + 200]


def _cleaned(file: Path, patterns: list[re.Pattern[str]]) -> bool:
    """Rewrite or remove `file` if one of `patterns` is in it, and tell so."""
    content = file.read_bytes().decode("utf-8", errors="surrogateescape")
    changed = content
    for pattern in patterns:
        changed = pattern.sub(ERASED, changed)
    if changed == content:
        return False
    if file.suffix.lower() in _READABLE:
        file.write_bytes(changed.encode("utf-8", errors="surrogateescape"))
    else:
        file.unlink()
    return True
