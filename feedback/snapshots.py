"""Snapshots as the store remembers them: their numbers, what they are made of, and which resolutions they used.

The rows themselves are files, which `training` writes. A resolution that a snapshot has used cannot be taken back by
undoing an answer, because a model may have learnt from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from core.errors import NotFoundError
from core.roles import REGRADE
from feedback.asking import lock_items
from feedback.audit import note
from feedback.disagreements import ask_about_texts, ask_again_about
from feedback.quarantines import Suspicion, raise_quarantines
from feedback.schema import erasures, resolutions, snapshot_items, snapshots
from feedback.store import Store
from feedback.upsert import insert_new
from tasks.declaration import Task

LATEST = "latest"

MOST_CONTRADICTORY, MOST_UNLIKELY = 1_000, 10
"""Texts of base rows that one snapshot brings to the queue at most; the next one brings the next."""

_CHUNK = 500
HASH_PREFIX = re.compile(r"[0-9a-f]{6,64}")
_NEWEST_ERASURE = select(func.max(erasures.c.id))
_RESTS_ON = (
    select(resolutions.c.answer_ids, snapshot_items.c.number)
    .join(snapshot_items, snapshot_items.c.resolution_id == resolutions.c.id)
    .where(snapshot_items.c.item_id == bindparam("item"))
    .order_by(snapshot_items.c.number)
)


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A snapshot; the columns of `snapshots`, whose docstring explains them."""

    sha256: str
    task: str
    number: int
    revision: int
    rows: int
    reviewed: int
    aside: Mapping[str, int]
    erased: int
    previous: str | None
    created_at: datetime


@dataclass(frozen=True)
class Draft:
    """A snapshot that is to be recorded, and what is to be done about what it leaves aside.

    `uses` are the reviewed items that train, `doubted` those to be sent back to the queue, both by item id with the
    resolution; `contradictory` and `unlikely` are texts of base rows to ask about: up to `MOST_CONTRADICTORY` and
    `MOST_UNLIKELY` that nobody was asked about before. `suspected` are sources of floods. `erasure` is the newest
    erasure when it was begun.
    """

    task: Task
    sha256: str
    rows: int
    aside: Mapping[str, int]
    uses: Mapping[str, str]
    doubted: Mapping[str, str] = field(default_factory=dict)
    contradictory: Sequence[str] = ()
    unlikely: Sequence[str] = ()
    suspected: Sequence[Suspicion] = ()
    erasure: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording: the snapshot, and how many of its resolutions no earlier one used.

    `sent_back` items and `asked` texts are in the queue now that were not before; `quarantined` sources are new.
    """

    snapshot: SnapshotRecord
    new_reviewed: int
    sent_back: int
    asked: int
    quarantined: int


def record_snapshot(store: Store, draft: Draft, keep: Callable[[Recorded], None] = lambda _: None) -> Recorded | None:
    """Give a snapshot its number, unless its content is known already; do what it asks for, all in one transaction.

    None: a text was erased, or a resolution taken back, since it was begun; it must be made anew. `keep` is called
    before the end of the transaction; what it raises undoes everything.

    Raises:
        UnavailableError: the store is away.
    """
    task = draft.task.name
    with store.write() as connection:
        store.lock(connection, "erasure", shared=True)
        store.lock(connection, f"snapshots {task}")
        if newest_erasure(connection) != draft.erasure:
            return None
        known = first_use(connection, draft.uses.values())
        fresh = {item: resolution for item, resolution in draft.uses.items() if resolution not in known}
        if not _still_hold(connection, fresh, draft.doubted):
            return None
        snapshot = _number(store, connection, draft)
        _note_uses(connection, snapshot, fresh)
        _note_ends(connection, snapshot, draft.uses.values())
        # Tallies are written by the last two: nothing else may wait for them for long.
        quarantined = raise_quarantines(store, connection, task, draft.suspected)
        asked = ask_about_texts(store, connection, draft.task, draft.contradictory, MOST_CONTRADICTORY)
        asked += ask_about_texts(store, connection, draft.task, draft.unlikely, MOST_UNLIKELY)
        sent_back = ask_again_about(store, connection, draft.task, draft.doubted)
        recorded = Recorded(snapshot, _count_uses(connection, snapshot), sent_back, asked, quarantined)
        keep(recorded)
    return recorded


def newest_erasure(connection: Connection) -> str | None:
    """Return the id of the newest erasure, None while there was none."""
    newest: str | None = connection.execute(_NEWEST_ERASURE).scalar_one()
    return newest


def first_use(connection: Connection, resolution_ids: Collection[str]) -> dict[str, int]:
    """Return the number of the first snapshot that used each resolution; those that none has used are missing."""
    found: dict[str, int] = {}
    for some in _chunks(sorted(resolution_ids)):
        mine = snapshot_items.c.resolution_id.in_(some)
        rows = connection.execute(select(snapshot_items.c.resolution_id, snapshot_items.c.number).where(mine))
        found |= {resolution: number for resolution, number in rows}  # noqa: C416 - a result is no mapping
    return found


def used_in(connection: Connection, item_id: str, answer_id: str) -> int | None:
    """Return the number of the first snapshot that used a resolution resting on the answer; None: none has."""
    rows = connection.execute(_RESTS_ON, {"item": item_id})
    return next((row.number for row in rows if answer_id in row.answer_ids), None)


def list_snapshots(store: Store, task: str, limit: int = 20) -> list[SnapshotRecord]:
    """Return up to `limit` snapshots of `task`, the newest first.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(snapshots).where(snapshots.c.task == task).order_by(snapshots.c.number.desc()).limit(limit)
    with store.read() as connection:
        return [_record(row) for row in connection.execute(wanted)]


def find_snapshot(store: Store, task: str, name: str) -> SnapshotRecord:
    """Return a snapshot of `task` by its number, its hash or at least six digits of it, or as `latest`.

    Raises:
        NotFoundError: there is none, or several begin with these digits.
        UnavailableError: the store is away.
    """
    wanted = select(snapshots).where(snapshots.c.task == task).order_by(snapshots.c.number.desc()).limit(2)
    if name.isascii() and name.isdigit() and len(name) < 6:
        wanted = wanted.where(snapshots.c.number == int(name))
    elif name != LATEST:
        if not HASH_PREFIX.fullmatch(name):
            raise NotFoundError(f"{name[:80]!r} is no snapshot of {task}; give a number, a hash, or `{LATEST}`")
        wanted = wanted.where(snapshots.c.sha256.startswith(name, autoescape=True))
    with store.read() as connection:
        found = [_record(row) for row in connection.execute(wanted)]
    if not found:
        raise NotFoundError(
            f"{task} has no snapshot {name[:80]!r}; `regrade snapshot list {task}` shows those there are"
        )
    if len(found) > 1 and name != LATEST:
        raise NotFoundError(f"several snapshots of {task} begin with {name}; give more of the hash")
    return found[0]


def _record(row: Any) -> SnapshotRecord:
    return SnapshotRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _still_hold(connection: Connection, fresh: Mapping[str, str], doubted: Mapping[str, str]) -> bool:
    """Tell whether resolutions that no snapshot has used are in force; nobody changes them before the end."""
    for ids in _chunks(sorted({*fresh, *doubted})):
        rows = {row.id: row.resolution_id for row in lock_items(connection, ids)}
        if any(rows.get(item) != fresh[item] for item in ids if item in fresh):
            return False
    return True


def _number(store: Store, connection: Connection, draft: Draft) -> SnapshotRecord:
    """Return the record of the content, which is made if it is new."""
    task = draft.task.name
    there = connection.execute(select(snapshots).where(snapshots.c.sha256 == draft.sha256)).first()
    if there is not None:
        return _record(there)
    latest = select(snapshots.c.number, snapshots.c.sha256).where(snapshots.c.task == task)
    last = connection.execute(latest.order_by(snapshots.c.number.desc()).limit(1)).first()
    made = SnapshotRecord(
        draft.sha256,
        task,
        last.number + 1 if last else 1,
        draft.task.revision,
        draft.rows,
        len(draft.uses),
        draft.aside,
        0,
        last.sha256 if last else None,
        store.now(connection),
    )
    connection.execute(snapshots.insert(), {name: getattr(made, name) for name in SnapshotRecord.__slots__})
    note(connection, REGRADE, "snapshot", made.sha256, task=task, number=made.number, rows=made.rows)
    return made


def _note_uses(connection: Connection, snapshot: SnapshotRecord, fresh: Mapping[str, str]) -> None:
    rows = [
        {"resolution_id": resolution, "task": snapshot.task, "item_id": item, "number": snapshot.number}
        for item, resolution in sorted(fresh.items())
    ]
    if rows:
        connection.execute(insert_new(connection, snapshot_items), rows)


def _note_ends(connection: Connection, snapshot: SnapshotRecord, used: Collection[str]) -> None:
    """Note which resolutions the newest snapshot leaves out that the one before used, and which it uses again."""
    mine, known = snapshot_items.c.task == snapshot.task, set(used)
    newest = connection.scalar(select(func.max(snapshots.c.number)).where(snapshots.c.task == snapshot.task))
    if newest != snapshot.number:
        return
    last = select(snapshot_items.c.resolution_id, snapshot_items.c.until).where(mine)
    rows = connection.execute(last).all()
    ended = sorted(row.resolution_id for row in rows if row.until is None and row.resolution_id not in known)
    back = sorted(row.resolution_id for row in rows if row.until is not None and row.resolution_id in known)
    for ids, until in ((ended, snapshot.number), (back, None)):
        for some in _chunks(ids):
            changed = update(snapshot_items).where(snapshot_items.c.resolution_id.in_(some))
            connection.execute(changed.values(until=until))


def _count_uses(connection: Connection, snapshot: SnapshotRecord) -> int:
    mine = (snapshot_items.c.task == snapshot.task) & (snapshot_items.c.number == snapshot.number)
    n: int = connection.execute(select(func.count()).select_from(snapshot_items).where(mine)).scalar_one()
    return n


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
