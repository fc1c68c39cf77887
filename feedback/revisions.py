"""Revisions of tasks in the store: what answers of earlier ones mean today, and what must be asked again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from core.errors import TaskError
from feedback.asking import ask_again, lock_items
from feedback.clashes import write_again
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, maps_of, read_revisions
from feedback.schema import answers, items, resolutions, slots, task_revisions, undoings
from feedback.store import Store
from feedback.upsert import insert_new
from tasks.declaration import Label, Task

_BATCH = 500
"""Items that are moved in one transaction, so that nobody waits long for it."""

_NEXT = (
    select(items.c.id, resolutions.c.value, resolutions.c.revision)
    .join_from(items, resolutions, resolutions.c.id == items.c.resolution_id, isouter=True)
    .where(items.c.task == bindparam("name"), items.c.state == bindparam("state"), items.c.id > bindparam("after"))
    .order_by(items.c.id)
    .limit(_BATCH)
)
_SAID = (
    select(answers.c.item_id, answers.c.round, answers.c.value, answers.c.revision)
    .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    .where(answers.c.item_id.in_(bindparam("ids", expanding=True)))
    .where(answers.c.value.is_not(None), undoings.c.answer_id.is_(None))
)
_MOVE = (
    update(items)
    .where(items.c.id == bindparam("item"))
    .values(revision=bindparam("declared"), suggestions=bindparam("shown"))
)
_MOVE_SLOTS = (
    update(slots).where(slots.c.item_id == bindparam("item"), slots.c.state == "free").values(label=bindparam("first"))
)


def note_revision(store: Store, task: Task) -> None:
    """Remember the labels of `task`, and where its revision is a new one, bring the queue up to it.

    Open items go to the new revision; their suggestions and answers keep what they said, under today's names. An item
    is asked again, in a new round, where a value that was resolved or answered cannot be mapped with certainty. Safe to
    run again after it was interrupted, and by several processes at once.

    Raises:
        TaskError: the labels of this revision, or their names, were others before.
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        known = read_revisions(connection, task.name)
    if task.revision in known:
        _check_same(task, known[task.revision])
        return
    if any(revision < task.revision for revision in known):
        maps = maps_of(known, task)
        _move_open(store, task, maps, _new_names(task, known, maps))
        _ask_resolved_again(store, task, maps)
    _record(store, task)


def _new_names(
    task: Task, known: Mapping[int, Sequence[Label]], maps: Mapping[int, Mapped]
) -> dict[int, dict[str, str]]:
    """Return, by earlier revision, what each label that certainly is one of today's is called now."""
    today = {label.id: label.name for label in task.labels}
    renamed: dict[int, dict[str, str]] = {}
    for revision, labels in maps.items():
        certain = {one.name: labels.get(one.id) for one in known[revision]}
        renamed[revision] = {name: today[label] for name, label in certain.items() if label is not None}
    return renamed


def _batches(store: Store, task: Task, state: str) -> Iterator[Sequence[Any]]:
    """Give the task's items in a state, some hundred at a time, with what they were resolved as."""
    after = ""
    while True:
        with store.read() as connection:
            rows = connection.execute(_NEXT, {"name": task.name, "state": state, "after": after}).all()
        if not rows:
            return
        after = rows[-1].id
        yield rows


def _move_open(store: Store, task: Task, maps: Mapping[int, Mapped], names: Mapping[int, Mapping[str, str]]) -> None:
    for batch in _batches(store, task, "open"):
        ids = [row.id for row in batch]
        write_again(store, partial(_move_batch, store, task=task, maps=maps, names=names, ids=ids))


def _move_batch(
    store: Store,
    connection: Connection,
    *,
    task: Task,
    maps: Mapping[int, Mapped],
    names: Mapping[int, Mapping[str, str]],
    ids: Sequence[str],
) -> None:
    rows = [row for row in lock_items(connection, ids) if row.state == "open" and row.revision < task.revision]
    rounds = {row.id: row.round for row in rows}
    said = connection.execute(_SAID, {"ids": list(rounds)})
    lost = {
        row.item_id
        for row in said
        if row.round == rounds[row.item_id] and mapped(loaded(row.value), maps.get(row.revision)) is None
    }
    for row in rows:
        if row.id not in lost:
            new = [[names.get(row.revision, {}).get(name, name), chance] for name, chance in row.suggestions]
            connection.execute(_MOVE, {"item": row.id, "declared": task.revision, "shown": new})
            if new and new[0] != list(row.suggestions[0]):
                connection.execute(_MOVE_SLOTS, {"item": row.id, "first": new[0][0]})
    ask_again(store, connection, task, [row for row in rows if row.id in lost])


def _ask_resolved_again(store: Store, task: Task, maps: Mapping[int, Mapped]) -> None:
    if all(None not in labels.values() for labels in maps.values()):
        return  # nothing can be uncertain: a million items need not be looked at
    for batch in _batches(store, task, "resolved"):
        lost = [row.id for row in batch if mapped(loaded(row.value), maps.get(row.revision)) is None]
        if lost:
            write_again(store, partial(_ask_batch, store, task=task, ids=lost))


def _ask_batch(store: Store, connection: Connection, *, task: Task, ids: Sequence[str]) -> None:
    rows = lock_items(connection, ids)
    ask_again(store, connection, task, [row for row in rows if row.state == "resolved"])


def _labels(task: Task) -> list[dict[str, Any]]:
    ordered = sorted(task.labels, key=lambda label: label.id)
    return [{"id": one.id, "name": one.name, "replaces": sorted(one.replaces)} for one in ordered]


def _check_same(task: Task, known: Sequence[Label]) -> None:
    before = [{"id": one.id, "name": one.name, "replaces": sorted(one.replaces)} for one in known]
    if before != _labels(task):
        raise TaskError(
            f"the labels of {task.name} differ from those that were recorded under revision {task.revision}; raise "
            f"the revision to {task.revision + 1} in its task.toml, and say there what new labels replace"
        )


def _record(store: Store, task: Task) -> None:
    labels = _labels(task)
    row = {
        "task": task.name,
        "revision": task.revision,
        "labels": labels,
        "sha256": hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest(),
        "created_at": datetime.now(UTC),
    }
    with store.write() as connection:
        store.lock(connection, f"revision {task.name}")
        connection.execute(insert_new(connection, task_revisions), row)
        _check_same(task, read_revisions(connection, task.name)[task.revision])
