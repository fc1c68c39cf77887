"""Embeddings that were computed before, by encoder: what makes a fast run fast.

`REGRADE_HOME/cache/embeddings/ENCODER/` holds shards, each written whole or not at all; there is no index, so that a
process that dies loses what it was about to write and nothing else. Shards hold no text, but the hash of one, so that
an erased text's embedding goes with it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from core.text import text_hash
from service.runner import Floats

FOLDER = Path("cache") / "embeddings"

MOST_ENCODERS = 4
"""Encoders whose embeddings are kept; those not used for longest go."""

MOST_TEXTS = 200_000
"""Texts of one encoder; beyond, all are forgotten: 384 floats for each make 300 MB."""

_MOST_SHARDS = 8
_UNREADABLE = (OSError, ValueError, KeyError, zipfile.BadZipFile)

Digests = NDArray[np.bytes_]


class EmbeddingCache:
    """The embeddings of one encoder."""

    def __init__(self, home: Path, encoder: str) -> None:
        """Keep them under `home`; `encoder` is a hash of all that an embedding depends on besides the text."""
        self._folder = home / FOLDER / encoder

    def find(self, texts: Sequence[str]) -> tuple[list[int], Floats | None]:
        """Return the positions of the `texts` that are known, and their embeddings, `(n_known, width)`; None: none."""
        places = {_digest(text): position for position, text in enumerate(texts)}
        found: dict[int, Floats] = {}
        for keys, _, values in self._shards():
            for row, key in enumerate(keys.tolist()):
                position = places.get(key)
                if position is not None:
                    found[position] = values[row]
        known = sorted(found)
        return known, np.stack([found[position] for position in known]) if known else None

    def add(self, texts: Sequence[str], embeddings: Floats) -> None:
        """Keep the `embeddings` `(n_texts, width)` of `texts`, and no more than there is room for.

        A full disk is no reason to fail: what cannot be kept is computed again.
        """
        keys = np.array([_digest(text) for text in texts], dtype="S32")
        hashes = np.array([bytes.fromhex(text_hash(text)) for text in texts], dtype="S32")
        with suppress(OSError):
            self._write(keys, hashes, embeddings)
            self._tidy()

    def _shards(self) -> Iterator[tuple[Digests, Digests, Floats]]:
        for path in sorted(self._folder.glob("*.npz")):
            shard = _read(path)
            if shard is not None:
                yield shard

    def _write(self, keys: Digests, hashes: Digests, values: Floats) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(self._folder / f"{uuid4().hex}.npz", keys, hashes, values)

    def _tidy(self) -> None:
        """Make one shard of many, forget all of too many, and drop the encoders that were not used for longest."""
        os.utime(self._folder)
        paths = list(self._folder.glob("*.npz"))
        if len(paths) > _MOST_SHARDS:
            shards = [shard for shard in map(_read, paths) if shard is not None]
            keys, hashes, values = (np.concatenate(parts) for parts in zip(*shards, strict=True))
            _, first = np.unique(keys, return_index=True)
            if len(first) <= MOST_TEXTS:
                self._write(keys[first], hashes[first], values[first])
            for path in paths:
                path.unlink(missing_ok=True)
        folders = sorted(self._folder.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-MOST_ENCODERS]:
            shutil.rmtree(folder, ignore_errors=True)


def forget_embeddings(home: Path, hashes: Collection[str]) -> int:
    """Take the embeddings of texts out of all caches under `home`, by the hashes of their normalised forms.

    Return how many were there. A shard that cannot be read goes altogether.
    """
    unwanted = {bytes.fromhex(digest) for digest in hashes}
    gone = 0
    for path in sorted((home / FOLDER).glob("*/*.npz")):
        shard = _read(path)
        if shard is None:
            path.unlink(missing_ok=True)
            continue
        keys, found, values = shard
        kept = np.array([_padded(digest) not in unwanted for digest in found.tolist()], dtype=np.bool_)
        if not kept.all():
            gone += int((~kept).sum())
            _write(path, keys[kept], found[kept], values[kept])
    return gone


def _digest(text: str) -> bytes:
    """Return what tells this very text from all others: two that are the same normalised may differ for the encoder."""
    return hashlib.sha256(text.encode()).digest().rstrip(b"\0")


def _padded(digest: bytes) -> bytes:
    """Return a digest as it was before numpy took the zeros off its end."""
    return digest.ljust(32, b"\0")


def _read(path: Path) -> tuple[Digests, Digests, Floats] | None:
    """Return keys, hashes and embeddings of a shard; None where it is gone or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["keys"], arrays["hashes"], arrays["values"]
    except _UNREADABLE:
        return None


def _write(path: Path, keys: Digests, hashes: Digests, values: Floats) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")
    with draft.open("wb") as file:
        np.savez(file, keys=keys, hashes=hashes, values=values)
    draft.replace(path)
