"""What is sent: real texts in their own lengths, and the same made short and long."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random

from benchmarks.common import data_folder
from benchmarks.peers.protocols import Protocol

REAL, SHORT, LONG = "real", "short", "long"
SHORT_WORDS, LONG_WORDS = 6, 70


def real_pool() -> list[str]:
    """Return 40,000 distinct texts in a fixed random order: BANKING77, CLINC150, and headlines of finance (SEntFiN)."""
    folder, texts = data_folder(), []
    for name in ("train.csv", "test.csv"):
        texts += _column(folder / "banking77" / name, "text")
    clinc = json.loads((folder / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    texts += [text for rows in clinc.values() for text, _ in rows]
    texts += _column(folder / "sentfin" / "SEntFiN.csv", "Title")
    distinct = sorted({text.strip() for text in texts} - {""})
    Random(77).shuffle(distinct)
    return distinct


def pools() -> dict[str, list[str]]:
    """Return the texts by kind: as they are, those of at most 6 words, and joined ones of 70 words or more."""
    real = real_pool()
    short = [text for text in real if len(text.split()) <= SHORT_WORDS]
    return {REAL: real, SHORT: short, LONG: list(_joined(real))}


def _joined(texts: Sequence[str]) -> Iterator[str]:
    words: list[str] = []
    for text in texts:
        words += text.split()
        if len(words) >= LONG_WORDS:
            yield " ".join(words)
            words = []


def _column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


class Bodies:
    """Writes bodies in a protocol, going through the texts from where the last ones ended, so that few repeat."""

    def __init__(self, folder: Path, texts: dict[str, list[str]]) -> None:
        """Write into `folder` bodies of `texts` by kind."""
        self._folder = folder
        self._texts = {kind: cycle(pool) for kind, pool in texts.items()}

    def write(self, protocol: Protocol, kind: str, size: int, count: int) -> Path:
        """Write `count` bodies of `size` texts each, a line each, and return the file, which the next call replaces."""
        path = self._folder / "bodies.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for _ in range(count):
                file.write(json.dumps(protocol.body(list(islice(self._texts[kind], size)))) + "\n")
        return path
