"""Asking about texts whose labels cannot all be right: as items of the reason `disagreement`, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from core.ids import new_id
from feedback.asking import begin_round, lock_items
from feedback.items import add_items
from feedback.new_items import first_asked, new_item
from feedback.schema import items
from feedback.store import Store
from feedback.tallies import add_tallies
from feedback.texts import add_texts, new_text
from tasks.declaration import Task

_URGENCY = 0.5
_CHUNK = 500


def ask_again_about(store: Store, connection: Connection, task: Task, wanted: Mapping[str, str]) -> int:
    """Send reviewed items back to the queue, by item id with the resolution that is doubted; return how many were.

    Those that were decided otherwise since, or are open already, stay as they are.
    """
    deltas: Counter[tuple[str, str]] = Counter()
    for ids in _chunks(sorted(wanted)):
        rows = [row for row in lock_items(connection, ids) if row.resolution_id == wanted[row.id]]
        _send_back(connection, task, rows)
        for row in rows:
            deltas[task.name, f"items.{row.state}.{row.reason}"] -= 1
            deltas[task.name, "items.open.disagreement"] += 1
    add_tallies(store, connection, deltas)
    return deltas[task.name, "items.open.disagreement"]


def ask_about_texts(store: Store, connection: Connection, task: Task, contents: Sequence[str], most: int) -> int:
    """Ask people about the first `most` texts, redacted, that nobody was asked about before; return how many."""
    if not contents:
        return 0
    store.lock(connection, f"intake {task.name}")
    now = store.now(connection)
    fresh = [new_text(new_id(), content, None, now) for content in contents]
    known = _known(connection, task.name, [text.sha256 for text in fresh])
    wanted = [text for text in fresh if text.sha256 not in known][:most]
    add_texts(connection, wanted)
    new = [new_item(task, text, "disagreement", _URGENCY) for text in wanted]
    add_items(store, connection, new)
    return len(new)


def _send_back(connection: Connection, task: Task, rows: Sequence[Row[Any]]) -> None:
    if rows:
        stage, many = first_asked(task.review)
        begin_round(connection, task, rows, stage, range(1, many + 1))
        ids = [row.id for row in rows]
        connection.execute(update(items).where(items.c.id.in_(ids)).values(reason="disagreement"))


def _known(connection: Connection, task: str, hashes: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in _chunks(sorted(set(hashes))):
        there = select(items.c.text_sha256).where(items.c.text_sha256.in_(some), items.c.task == task)
        found.update(connection.scalars(there))
    return found


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
