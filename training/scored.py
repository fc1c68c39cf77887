"""What versions say of texts, in the task's labels of today: by `service`'s own classifier, exactly as they are served.

A version and a gold set never change, so that what the one says of the other is computed once and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.settings import available_cores
from service.classifier import Classifier, load_classifier
from service.model_store import version_folder
from tasks.declaration import Task
from training.paired import UNKNOWN, Flags, Ints, Reals, Said

_WORTH_A_CORE = 64
"""Texts for which a classifier more is opened."""

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

    def __init__(self, task: Task, version: str, cache: Path | None = None, *, file: str | None = None) -> None:
        """Take the version from the model store; `cache` is a folder for what is kept, `file` another graph to ask.

        Raises:
            NotFoundError: the store does not hold it.
        """
        self.folder = version_folder(task.name, version)
        self.version = version
        self._task, self._cache, self._file = task, cache, file
        self._loaded: list[Classifier] = []

    @property
    def classifier(self) -> Classifier:
        """One of the loaded classifiers.

        Raises:
            ModelError: a file is missing or changed, or cannot be loaded.
        """
        return self._classifiers(1)[0]

    def score(self, texts: Sequence[str], advance: Advance = lambda _: None) -> Scored:
        """Judge `texts`; `advance` is told the number of each part done.

        Raises:
            ModelError: a file of the version is missing or changed, or cannot be loaded.
        """
        size = max(1, min(available_cores(), -(-len(texts) // _WORTH_A_CORE)))
        shares = [range(first, len(texts), size) for first in range(size)]
        models = self._classifiers(size)

        def run(number: int) -> tuple[Reals, Reals]:
            mine = [texts[at] for at in shares[number]]
            found = models[number].classify(mine, progress=advance).scores
            return found.probabilities, found.out_of_scope

        with ThreadPoolExecutor(size) as pool:
            results = list(pool.map(run, range(size)))
        order = np.argsort(np.concatenate([np.array(share, dtype=np.int64) for share in shares]))
        own = np.concatenate([probabilities for probabilities, _ in results])[order]
        return self._in_todays_labels(own, np.concatenate([outside for _, outside in results])[order])

    def score_gold(self, texts: Sequence[str], advance: Advance = lambda _: None) -> Scored:
        """Judge the texts of a gold set, or read what was kept of them."""
        if self._cache is None or not texts:
            return self.score(texts, advance)
        known = json.dumps([[label.id for label in self._task.labels], list(texts)], ensure_ascii=False)
        path = self._cache / self._task.name / f"{self.version}-{hashlib.sha256(known.encode()).hexdigest()[:32]}.npz"
        kept = _read(path)
        if kept is not None:
            advance(len(texts))
            return kept
        found = self.score(texts, advance)
        _write(path, found)
        return found

    def _classifiers(self, n: int) -> list[Classifier]:
        """Return at least `n`: one is not safe to use from two threads."""
        while len(self._loaded) < n:
            self._loaded.append(load_classifier(self.folder, file=self._file, verify=not self._loaded))
        return self._loaded

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


def _read(path: Path) -> Scored | None:
    """Return what is kept at `path`; None where it is not there or was never finished."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return Scored(*(kept[name] for name in ("probabilities", "chosen", "confidence", "out_of_scope")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write(path: Path, scored: Scored) -> None:
    """Keep `scored` whole or not at all, and no more files than that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    with unfinished.open("wb") as file:
        np.savez(file, **vars(scored))
    unfinished.replace(path)
    kept = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
    for old in kept[:-_MOST_KEPT]:
        old.unlink(missing_ok=True)
