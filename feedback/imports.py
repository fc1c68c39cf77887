"""Which texts of a file are worth bringing to the queue."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from core.text import text_hash
from feedback.schema import items
from feedback.store import Store
from tasks.declaration import Task

_BATCH = 5_000


def resolved_hashes(store: Store, task: Task, contents: Sequence[str]) -> set[str]:
    """Return the hashes of those of `contents` (redacted) that people have resolved before in `task`.

    Raises:
        UnavailableError: the store is away.
    """
    hashes = sorted({text_hash(content) for content in contents})
    found: set[str] = set()
    with store.read() as connection:
        for start in range(0, len(hashes), _BATCH):
            some = items.c.text_sha256.in_(hashes[start : start + _BATCH])
            resolved = select(items.c.text_sha256).where(some, items.c.task == task.name, items.c.state == "resolved")
            found.update(connection.scalars(resolved))
    return found
