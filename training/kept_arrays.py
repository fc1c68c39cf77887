"""Arrays that cost seconds to work out and depend on nothing but texts and labels, kept under `REGRADE_HOME/cache`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_MOST = 32
"""Files of one folder; the oldest go."""


def kept_array(folder: Path, parts: Sequence[Sequence[str]], work: Callable[[], Array]) -> Array:
    """Return what `work` returned the last time for the same `parts`, or now; the files hold no text.

    A file that cannot be read counts as none, and one that cannot be written is done without.
    """
    file = folder / f"{key_of(parts)}.npy"
    try:
        found: Array = np.load(file, allow_pickle=False)
    except (OSError, ValueError):
        found = work()
        _keep(file, found)
    return found


def key_of(parts: Sequence[Sequence[str]]) -> str:
    """Return the SHA-256 of lists of words, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([list(part) for part in parts], ensure_ascii=False).encode()).hexdigest()


def _keep(file: Path, array: Array) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft.npy")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        np.save(draft, array, allow_pickle=False)
        draft.replace(file)
        for old in sorted(file.parent.glob("*.npy"), key=_age)[_MOST:]:
            old.unlink(missing_ok=True)
    except OSError:
        draft.unlink(missing_ok=True)


def _age(file: Path) -> float:
    """Return how long ago a file was written, compared with others; 0 for one that is gone."""
    try:
        return -file.stat().st_mtime
    except OSError:
        return 0.0
