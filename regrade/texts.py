"""Texts to judge, from a file, standard input or arguments; what cannot be judged is kept with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError
from core.text import text_fault
from regrade.output import LineFault


@dataclass(frozen=True)
class TextFault:
    """Why the text at `line` (from 1) cannot be judged."""

    line: int
    msg: str


@dataclass(frozen=True)
class Texts:
    """`usable` texts with their lines, and the `faults` of the others."""

    usable: list[tuple[int, str]]
    faults: Sequence[LineFault]


def check_texts(numbered: Iterable[tuple[int, str]]) -> Texts:
    """Part `(line, text)` pairs into those that can be judged and those that cannot."""
    usable, faults = [], []
    for line, text in numbered:
        fault = text_fault(text)
        if fault is None:
            usable.append((line, text))
        else:
            faults.append(TextFault(line, f"text {fault}"))
    return Texts(usable, faults)


def read_lines(content: bytes) -> Texts:
    """Read one text a line; a line that is not UTF-8 is a fault of its own."""
    decoded: list[tuple[int, str]] = []
    undecodable: list[TextFault] = []
    for line, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n"), start=1):
        try:
            decoded.append((line, raw.decode().rstrip("\r")))
        except UnicodeDecodeError as error:
            undecodable.append(TextFault(line, f"text is not UTF-8 at byte {error.start}; convert it"))
    checked = check_texts(decoded)
    return Texts(checked.usable, sorted([*checked.faults, *undecodable], key=lambda fault: fault.line))


def read_table(file: Path, text_column: str | None) -> Texts:
    """Read the texts of a CSV, JSONL or parquet file; a file of any other kind holds one text a line.

    Raises:
        DataError: the file cannot be read, or has no column that is clearly the text.
    """
    from training.rows import CSV, JSON_LINES, PARQUET, read_rows

    if file.suffix.lower() in (CSV | JSON_LINES | PARQUET) - {".txt"}:
        found = read_rows(file, text_column, labelled=False)
        return Texts([(row.line, row.text) for row in found.rows], found.faults)
    try:
        return read_lines(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; give a file that exists") from error
