"""The links of lineage: what a version learnt from, what a snapshot used, and how far a resolution went."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from feedback.deployments import Deployment, live_deployment
from feedback.runs import Run, run_of
from feedback.schema import deployments, items, resolutions, runs, snapshot_items, snapshots, texts
from feedback.snapshots import SnapshotRecord
from feedback.values import in_words, label_names

_VERSION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Used:
    """A reviewed item as snapshots used it: what it was resolved to by `answer_ids`.

    Snapshots from number `first` on use it, up to the one before `until`; None: up to the newest. `text` is None once
    it was erased.
    """

    item_id: str
    resolution_id: str
    first: int
    until: int | None
    label: str | None
    labels: list[str] | None
    confirms: bool | None
    answer_ids: list[str]
    text: str | None


@dataclass(frozen=True)
class SnapshotUse:
    """A snapshot, and those of its reviewed items that came last, newest first."""

    record: SnapshotRecord
    items: list[Used]


@dataclass(frozen=True)
class Made:
    """A run that learnt from a snapshot, with its verdict, and the times its version went live, newest first."""

    run: Run
    deployments: list[Deployment]


@dataclass(frozen=True)
class Reach:
    """A snapshot that used a resolution, and what was made of it."""

    snapshot: SnapshotRecord
    made: list[Made]


@dataclass(frozen=True)
class Reached:
    """How far a resolution went: `snapshots` of it are `used_by`, of which the first are here, oldest first.

    `holds`: it is the item's resolution today. `first` and `until` are as those of `Used`, both None where no snapshot
    has used it. `is_live`: the version that is live now has learnt from it.
    """

    resolution_id: str
    label: str | None
    labels: list[str] | None
    confirms: bool | None
    answer_ids: list[str]
    holds: bool
    first: int | None
    until: int | None
    snapshots: int
    used_by: list[Reach]
    is_live: bool


@dataclass(frozen=True)
class VersionLine:
    """A version, the run that made it, what that learnt from, and the times it went live, newest first.

    Without a `run` it was made by `regrade train`, from files.
    """

    task: str
    version: str
    run: Run | None
    snapshot: SnapshotUse | None
    deployments: list[Deployment]
    is_live: bool


def find_version(connection: Connection, name: str, tasks: Collection[str] | None) -> str | None:
    """Return the task of a version that a run made or that was live, one of `tasks` if they are given."""
    if not _VERSION.fullmatch(name):
        return None
    for table in (runs, deployments):
        wanted = select(table.c.task).where(table.c.version == name)
        if tasks is not None:
            wanted = wanted.where(table.c.task.in_(sorted(tasks)))
        task: str | None = connection.scalar(wanted.order_by(table.c.task).limit(1))
        if task is not None:
            return task
    return None


def version_line(connection: Connection, task: str, version: str, most: int) -> VersionLine:
    """Return a version with what it learnt from, and `most` of its reviewed items at most."""
    made = select(runs).where(runs.c.version == version, runs.c.task == task).order_by(runs.c.id.desc()).limit(1)
    row = connection.execute(made).first()
    run = run_of(row) if row else None
    snapshot = snapshot_use(connection, run.snapshot_sha256, most) if run and run.snapshot_sha256 else None
    live = live_deployment(connection, task)
    times = _deployments(connection, task, [version])[version]
    return VersionLine(task, version, run, snapshot, times, is_live=live is not None and live.version == version)


def snapshot_use(connection: Connection, sha256: str, most: int) -> SnapshotUse | None:
    """Return a snapshot with the `most` reviewed items that came last into it; None where none has this hash."""
    row = connection.execute(select(snapshots).where(snapshots.c.sha256 == sha256)).first()
    if row is None:
        return None
    record = _record(row)
    names = label_names(connection, record.task)
    last = (snapshot_items.c.number.desc(), snapshot_items.c.resolution_id.desc())
    wanted = (
        select(snapshot_items.c.number, snapshot_items.c.until, resolutions, texts.c.content)
        .join(resolutions, resolutions.c.id == snapshot_items.c.resolution_id)
        .join(items, items.c.id == snapshot_items.c.item_id)
        .outerjoin(texts, texts.c.id == items.c.text_id)
        .where(snapshot_items.c.task == record.task, snapshot_items.c.number <= record.number)
        .where(or_(snapshot_items.c.until.is_(None), snapshot_items.c.until > record.number))
        .order_by(*last)
        .limit(most)
    )
    return SnapshotUse(record, [_used(one, names) for one in connection.execute(wanted)])


def made_from(connection: Connection, records: Sequence[SnapshotRecord]) -> dict[str, list[Made]]:
    """Return the runs that learnt from snapshots of one task, oldest first, by hash."""
    found: defaultdict[str, list[Made]] = defaultdict(list)
    if not records:
        return found
    wanted = select(runs).where(runs.c.snapshot_sha256.in_([one.sha256 for one in records])).order_by(runs.c.id)
    rows = [run_of(row) for row in connection.execute(wanted)]
    live = _deployments(connection, records[0].task, [run.version for run in rows if run.version])
    for run in rows:
        found[str(run.snapshot_sha256)].append(Made(run, live[run.version] if run.version else []))
    return found


def reached_by(connection: Connection, item_id: str, most: int) -> list[Reached]:
    """Return how far each resolution of an item went, oldest first, with `most` snapshots at most of each."""
    wanted = (
        select(resolutions, snapshot_items.c.number, snapshot_items.c.until, items.c.resolution_id.label("holding"))
        .join(items, items.c.id == resolutions.c.item_id)
        .outerjoin(snapshot_items, snapshot_items.c.resolution_id == resolutions.c.id)
        .where(resolutions.c.item_id == item_id)
        .order_by(resolutions.c.id)
    )
    rows = connection.execute(wanted).all()
    if not rows:
        return []
    names, live = label_names(connection, rows[0].task), _live_number(connection, rows[0].task)
    return [_reached(connection, row, names, live, most) for row in rows]


def _reached(connection: Connection, row: Row[Any], names: Mapping[int, str], live: int | None, most: int) -> Reached:
    n, used_by = 0, list[Reach]()
    if row.number is not None:
        using = (snapshots.c.task == row.task) & (snapshots.c.number >= row.number)
        if row.until is not None:
            using &= snapshots.c.number < row.until
        n, used_by = _count(connection, using), _reaches(connection, using, most)
    return Reached(
        row.id,
        **in_words(row.value, names),
        confirms=row.confirms,
        answer_ids=row.answer_ids,
        holds=row.holding == row.id,
        first=row.number,
        until=row.until,
        snapshots=n,
        used_by=used_by,
        is_live=live is not None and row.number is not None and row.number <= live < (row.until or live + 1),
    )


def _count(connection: Connection, using: ColumnElement[bool]) -> int:
    n: int = connection.execute(select(func.count()).select_from(snapshots).where(using)).scalar_one()
    return n


def _reaches(connection: Connection, using: ColumnElement[bool], most: int) -> list[Reach]:
    wanted = select(snapshots).where(using).order_by(snapshots.c.number).limit(most)
    records = [_record(row) for row in connection.execute(wanted)]
    made = made_from(connection, records)
    return [Reach(record, made[record.sha256]) for record in records]


def _live_number(connection: Connection, task: str) -> int | None:
    """Return the number of the snapshot that the live version learnt from; None where it learnt from none."""
    live = live_deployment(connection, task)
    if live is None:
        return None
    wanted = (
        select(snapshots.c.number)
        .join(runs, runs.c.snapshot_sha256 == snapshots.c.sha256)
        .where(runs.c.version == live.version, runs.c.task == task)
    )
    number: int | None = connection.scalar(wanted.order_by(runs.c.id.desc()).limit(1))
    return number


def _deployments(connection: Connection, task: str, versions: Collection[str]) -> defaultdict[str, list[Deployment]]:
    """Return the times that `versions` of a task went live, newest first, by version."""
    found: defaultdict[str, list[Deployment]] = defaultdict(list)
    mine = deployments.c.version.in_(sorted(set(versions)))
    wanted = select(*(deployments.c[name] for name in Deployment.__dataclass_fields__))
    for row in connection.execute(wanted.where(deployments.c.task == task, mine).order_by(deployments.c.id.desc())):
        found[row.version].append(Deployment(*row))
    return found


def _record(row: Row[Any]) -> SnapshotRecord:
    return SnapshotRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _used(row: Row[Any], names: Mapping[int, str]) -> Used:
    return Used(
        row.item_id,
        row.id,
        row.number,
        row.until,
        **in_words(row.value, names),
        confirms=row.confirms,
        answer_ids=row.answer_ids,
        text=row.content,
    )
