"""What erasures mean for snapshots: which files still hold an erased text, and which models have learnt from it.

The files are parquet, which only the learning side can rewrite. An erasure is noted here in its own transaction, and
carried out by whoever can: `training/snapshot_erasure.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, select, update

from feedback.schema import erasures, items, runs, snapshot_erasures, snapshot_items, snapshots
from feedback.store import Store

FOLDER = "snapshots"
"""Folder of the home with the files of snapshots, a folder a task."""

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An erasure whose rows may still stand in files: those about `subject`, or whose text has one of `hashes`."""

    erasure_id: str
    subject: str | None
    hashes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is gone from the file of a snapshot: how many rows were `erased`, by which `erasures`."""

    erased: int
    erasures: Sequence[str]


def note_unsettled(store: Store, connection: Connection, home: Path, unsettled: Unsettled) -> bool:
    """Remember that files of snapshots must be rewritten; tell whether there are any that may have to be."""
    recorded = connection.execute(select(snapshots.c.sha256).limit(1)).first()
    if recorded is None and next((home / FOLDER).glob("*/*"), None) is None:
        return False
    row = {"erasure_id": unsettled.erasure_id, "subject": unsettled.subject, "hashes": sorted(unsettled.hashes)}
    connection.execute(snapshot_erasures.insert(), row | {"created_at": store.now(connection)})
    return True


def list_unsettled(store: Store) -> list[Unsettled]:
    """Return the erasures that files of snapshots still wait for, the oldest first.

    Raises:
        UnavailableError: the store is away.
    """
    wanted = select(snapshot_erasures).order_by(snapshot_erasures.c.erasure_id)
    with store.read() as connection:
        return [Unsettled(row.erasure_id, row.subject, frozenset(row.hashes)) for row in connection.execute(wanted)]


def settle(store: Store, erasure_ids: Collection[str], left: Mapping[str, Tombstone]) -> dict[str, list[str]]:
    """Note that the files are rewritten; `left` is what their tombstones say, by the snapshot's hash.

    Return the models (`TASK:VERSION`) that had learnt from what each erasure took, by its id. It may be repeated.

    Raises:
        UnavailableError: the store is away, or its file could not be overwritten; do it again.
    """
    marked: dict[str, list[str]] = {}
    with store.write() as connection:
        store.lock(connection, "erasure")
        for sha256, tombstone in sorted(left.items()):
            changed = update(snapshots).where(snapshots.c.sha256 == sha256)
            connection.execute(changed.values(erased=tombstone.erased))
        for erasure_id in sorted(erasure_ids):
            mine = erasures.c.id == erasure_id
            found = connection.execute(select(erasures.c.models).where(mine)).scalar()
            held = [sha256 for sha256, tombstone in left.items() if erasure_id in tombstone.erasures]
            marked[erasure_id] = sorted({*(found or []), *_models_of(connection, held)})
            connection.execute(update(erasures).where(mine).values(models=marked[erasure_id]))
        connection.execute(delete(snapshot_erasures).where(snapshot_erasures.c.erasure_id.in_(sorted(erasure_ids))))
    store.wipe()
    return marked


def models_that_saw(connection: Connection, text_ids: Collection[str]) -> set[str]:
    """Return the models (`TASK:VERSION`) that may have learnt from reviewed items with these texts.

    They are those of the first snapshot that used one, and of all later ones of its task.
    """
    first: dict[str, int] = {}
    for some in _chunks(sorted(text_ids)):
        used = select(snapshot_items.c.task, snapshot_items.c.number).join(
            items, items.c.id == snapshot_items.c.item_id
        )
        for task, number in connection.execute(used.where(items.c.text_id.in_(some))):
            first[task] = min(number, first.get(task, number))
    found: set[str] = set()
    for task, number in first.items():
        later = (snapshots.c.task == task) & (snapshots.c.number >= number)
        found |= _models_of(connection, connection.scalars(select(snapshots.c.sha256).where(later)).all())
    return found


def _models_of(connection: Connection, sha256s: Collection[str]) -> set[str]:
    found: set[str] = set()
    for some in _chunks(sorted(sha256s)):
        made = select(runs.c.task, runs.c.version).where(runs.c.snapshot_sha256.in_(some), runs.c.version.is_not(None))
        found |= {f"{task}:{version}" for task, version in connection.execute(made)}
    return found


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
