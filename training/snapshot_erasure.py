"""Take what was erased out of the files of snapshots: they are rewritten, and a tombstone says how many rows are gone.

The name of a file stays, so that whatever refers to the snapshot still finds it. What is left no longer has the hash in
that name: the tombstone holds its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.text import text_hash
from feedback.snapshot_erasures import FOLDER, Tombstone, Unsettled, list_unsettled, settle
from feedback.store import Store
from training.embedding_cache import forget_embeddings
from training.scored import forget_gold
from training.snapshot_file import DRAFT, read_records, rewrite

logger = logging.getLogger("regrade.snapshots")

_HASHES_KEPT = 200_000
"""Hashes of texts that are remembered while files are read: snapshots of a task hold mostly the same."""


@dataclass(frozen=True)
class Settled:
    """How many `rows` are gone from files of snapshots, and the `models` that had learnt from them, by erasure."""

    rows: int = 0
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)


def settle_erasures(store: Store, home: Path) -> Settled:
    """Carry out the erasures that files of snapshots under `home` wait for.

    Embeddings of the texts go too, and all that is kept of gold sets. It goes on where an interrupted one ended. A file
    that cannot be read is removed: it may hold what is erased, and is of no use.

    Raises:
        DataError: a file cannot be written.
        UnavailableError: the store is away.
    """
    unsettled = list_unsettled(store)
    if not unsettled:
        return Settled()
    hashed = lru_cache(maxsize=_HASHES_KEPT)(text_hash)
    gone, left, hashes = 0, dict[str, Tombstone](), {digest for one in unsettled for digest in one.hashes}
    for path in sorted((home / FOLDER).glob("*/*.parquet")):
        removed, tombstone = _rewritten(path, unsettled, hashed)
        gone += len(removed)
        hashes.update(removed)
        if tombstone is not None:
            left[path.stem] = tombstone
    _drop_drafts(home)
    forget_embeddings(home, hashes)
    forget_gold(home)
    return Settled(gone, settle(store, [one.erasure_id for one in unsettled], left))


def _rewritten(
    path: Path, unsettled: Sequence[Unsettled], hashed: Callable[[str], str]
) -> tuple[list[str], Tombstone | None]:
    """Take the rows out of one file; return the hashes of their texts, and what its tombstone says, if it has one."""
    try:
        head, records = read_records(path)
    except DataError as error:
        logger.warning("removed, since it could not be searched for what was erased: %s", error)
        path.unlink(missing_ok=True)
        return [], None
    by = [_erasure_of(record, unsettled, hashed) for record in records]
    kept = [record for record, erasure in zip(records, by, strict=True) if erasure is None]
    removed = [hashed(record["text"] or "") for record, erasure in zip(records, by, strict=True) if erasure]
    if removed:
        head = rewrite(path, head, kept, len(removed), [erasure for erasure in by if erasure])
    return removed, Tombstone(head.erased, head.erasures) if head.erased else None


def _erasure_of(record: Mapping[str, Any], unsettled: Sequence[Unsettled], hashed: Callable[[str], str]) -> str | None:
    """Return the first erasure that takes a row out, if one does."""
    digest = hashed(record["text"] or "")
    for one in unsettled:
        if digest in one.hashes or (one.subject is not None and record["subject"] == one.subject):
            return one.erasure_id
    return None


def _drop_drafts(home: Path) -> None:
    """Remove what processes left that died while they wrote."""
    for draft in (home / FOLDER).glob(f"*/.*{DRAFT}"):
        process = draft.name.removesuffix(DRAFT).rpartition(".")[2]
        if not process.isdigit() or not _is_alive(int(process)):
            draft.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
