"""What versions say of texts, in the task's labels of today: by `service`'s own classifier, exactly as they are served.

A version and a gold set never change, so that what the one says of the other is computed once and kept; so is what an
encoder makes of a gold set, for all versions that stand on it. Answers are then worked out as a service does it whose
versions share an encoder.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from core.settings import available_cores
from service.artifact import TOKENIZER, read_manifest
from service.batching import plan_batches
from service.classifier import Classifier, load_classifier
from service.encoders import Encoders
from service.model_store import version_folder
from service.runner import Floats
from tasks.declaration import Task
from training.paired import UNKNOWN, Flags, Ints, Reals, Said

_BLOCK = 128
"""Texts that are judged together. What dynamic quantisation makes of a text depends a little on its batch: fixed blocks
keep it the same, whatever the number of cores."""

_BATCH_TOKENS = 512

GOLD_FOLDER = Path("cache") / "gold"
"""What is kept of gold sets, below the home."""

_SCORED = ("probabilities", "chosen", "confidence", "out_of_scope")

_MOST_KEPT = 50
"""Files that are kept of a task; the oldest go."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Scored:
    """What a version says of `n` texts.

    `probabilities` `(n, n_labels)` are those of the task's labels of today, 0 where the version does not know one.
    `chosen` `(n,)` is the number of the label it answers with, or `UNKNOWN`; `confidence` and `out_of_scope` `(n,)`.
    """

    probabilities: Reals
    chosen: Ints
    confidence: Reals
    out_of_scope: Reals

    def said(self) -> Said:
        """Return what the gate compares."""
        return Said(self.chosen, self.confidence, self.out_of_scope)


class Scorer:
    """A version that scores texts of `task`, on all cores; its files are loaded when first needed."""

    def __init__(
        self,
        task: Task,
        version: str,
        cache: Path | None = None,
        *,
        file: str | None = None,
        encoders: Encoders | None = None,
    ) -> None:
        """Take the version from the model store.

        Args:
            task: the task.
            version: the version.
            cache: a folder for what is kept.
            file: another graph to ask than the one that is served.
            encoders: what other scorers have open, to be shared as services share it.

        Raises:
            NotFoundError: the store does not hold it.
        """
        self.folder = version_folder(task.name, version)
        self.version = version
        self._task, self._cache, self._file = task, cache, file
        self._encoders = encoders
        self._loaded: list[Classifier] = []

    @property
    def classifier(self) -> Classifier:
        """One of the loaded classifiers.

        Raises:
            ModelError: a file is missing or changed, or cannot be loaded.
        """
        return self._classifiers(1)[0]

    @property
    def encoder(self) -> str | None:
        """All that an embedding of a text depends on, hashed; None for a version whose head has no file of its own."""
        manifest = read_manifest(self.folder)
        if manifest.encoder is None:
            return None
        parts = [manifest.encoder, manifest.files[TOKENIZER], manifest.max_length, manifest.redact, self._file]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def score(self, texts: Sequence[str], advance: Advance = lambda _: None) -> Scored:
        """Judge `texts`; `advance` is told the number of each part done.

        Raises:
            ModelError: a file of the version is missing or changed, or cannot be loaded.
        """
        if not texts:
            return self._in_todays_labels(np.empty((0, len(self.classifier.label_names))), np.empty(0))
        return self.judge(*self.compute(texts, advance))

    def compute(self, texts: Sequence[str], advance: Advance = lambda _: None) -> tuple[Floats, Floats]:
        """Return what the graph makes of `texts`, at least one: logits `(n, n_labels)` and embeddings `(n, width)`.

        Raises:
            ModelError: a file of the version is missing or changed, or cannot be loaded.
        """
        blocks = [texts[first : first + _BLOCK] for first in range(0, len(texts), _BLOCK)]
        size = min(available_cores(), len(blocks))
        free = SimpleQueue[Classifier]()
        for model in self._classifiers(size):
            free.put(model)

        def work(block: Sequence[str]) -> tuple[Floats, Floats]:
            model = free.get()
            try:
                return _compute(model, block)
            finally:
                free.put(model)

        found = []
        with ThreadPoolExecutor(size) as pool:
            for block, result in zip(blocks, pool.map(work, blocks), strict=True):
                found.append(result)
                advance(len(block))
        logits, embeddings = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return logits, embeddings

    def judge(self, logits: Floats, embeddings: Floats) -> Scored:
        """Judge texts by what `compute` returned of them, be it that of another version of the same `encoder`.

        It is what a service does whose versions share an encoder, by the same code.
        """
        found = self.classifier.judge(logits, embeddings)
        return self._in_todays_labels(found.probabilities, found.out_of_scope)

    def score_gold(self, texts: Sequence[str], advance: Advance = lambda _: None) -> Scored:
        """Judge the texts of a gold set, or read what was kept of them: of this version, or of its encoder."""
        if self._cache is None or not texts:
            return self.score(texts, advance)
        folder = self._cache / self._task.name
        path = folder / f"{self.version}-{_hash([[label.id for label in self._task.labels], list(texts)])}.npz"
        kept = _read(path, *_SCORED)
        if kept is not None:
            advance(len(texts))
            return Scored(**kept)
        encoder = self.encoder
        made = self._embedded(folder / f"{encoder}-{_hash(list(texts))}.npz", texts, advance) if encoder else None
        found = self.score(texts, advance) if made is None else self.judge(*made)
        _write(path, vars(found))
        return found

    def _embedded(self, path: Path, texts: Sequence[str], advance: Advance) -> tuple[Floats, Floats]:
        """Return what `judge` needs, with the embeddings that are kept at `path`, or computed now and kept."""
        kept = _read(path, "embeddings")
        if kept is None:
            logits, embeddings = self.compute(texts, advance)
            _write(path, {"embeddings": embeddings})
            return logits, embeddings
        advance(len(texts))
        return np.empty((len(texts), 0), dtype=np.float32), kept["embeddings"]  # its own head makes the logits

    def _classifiers(self, n: int) -> list[Classifier]:
        """Return `n`: one is not safe to use from two threads."""
        while len(self._loaded) < n:
            first = not self._loaded
            encoders = self._encoders if first else None  # each of the others computes in another thread
            self._loaded.append(load_classifier(self.folder, file=self._file, verify=first, encoders=encoders))
        return self._loaded[:n]

    @property
    def known(self) -> Flags:
        """Which of the task's labels of today the version can answer with, `(n_labels,)`."""
        return np.isin(np.arange(len(self._task.labels)), self._places)

    @property
    def _places(self) -> Ints:
        """The number of today's label for each of the version's own; `UNKNOWN` where it is gone."""
        today = {label.id: number for number, label in enumerate(self._task.labels)}
        own = self.classifier.manifest.labels
        return np.array([today.get(label.id, UNKNOWN) for label in own], dtype=np.int64)

    def _in_todays_labels(self, own: Reals, outside: Reals) -> Scored:
        """Put the version's columns in the order of today's labels, by their ids."""
        places = self._places
        probabilities = np.zeros((len(own), len(self._task.labels)), dtype=np.float32)
        probabilities[:, places[places >= 0]] = own[:, places >= 0]
        return Scored(probabilities, places[own.argmax(axis=1)], own.max(axis=1), outside)


def forget_gold(home: Path) -> None:
    """Remove all that is kept of gold sets; it is computed again, without what their files do not hold any more."""
    for path in (home / GOLD_FOLDER).glob("*/*.npz"):
        path.unlink(missing_ok=True)


def _compute(model: Classifier, texts: Sequence[str]) -> tuple[Floats, Floats]:
    """Return logits and embeddings of `texts`, in length-sorted batches."""
    encodings = [model.prepare(text) for text in texts]
    batches = plan_batches([len(encoding.ids) for encoding in encodings], _BATCH_TOKENS)
    found = [model.compute([encodings[at] for at in batch]) for batch in batches]
    order = np.argsort(np.concatenate([np.array(batch) for batch in batches]))
    logits, embeddings = (np.concatenate(parts)[order] for parts in zip(*found, strict=True))
    return logits, embeddings


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:32]


def _read(path: Path, *names: str) -> dict[str, Any] | None:
    """Return the arrays that are kept at `path`; None where it is not there or was never finished."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Keep `arrays` whole or not at all, and no more files than that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
    unfinished.replace(path)
    kept = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
    for old in kept[:-_MOST_KEPT]:
        old.unlink(missing_ok=True)
