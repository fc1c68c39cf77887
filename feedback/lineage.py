"""Where a prediction came from, and where an answer went: from one id along answers, snapshots, runs and deployments.

Nothing is guessed: what a snapshot used is noted when it is recorded, and a run names the snapshot that its version
learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Table, select

from core.errors import NotFoundError
from core.ids import is_id
from feedback.lineage_facts import (
    Made,
    Reached,
    SnapshotUse,
    VersionLine,
    find_version,
    made_from,
    reached_by,
    snapshot_use,
    version_line,
)
from feedback.lineage_said import (
    AnswerSaid,
    ItemNote,
    ItemSaid,
    PredictionSaid,
    answer_said,
    item_said,
    prediction_said,
)
from feedback.runs import Run, read_run
from feedback.schema import answers, items, predictions, runs, snapshots
from feedback.snapshots import HASH_PREFIX
from feedback.store import Store

Kind = Literal["prediction", "item", "answer", "run", "version", "snapshot"]
Note = ItemNote | Literal["uncounted", "unused", "files"]
"""Why a line ends: that of the item; no resolution rests on the answer (`uncounted`); no snapshot has used it yet
(`unused`); the version was trained from `files`, and not from a snapshot."""

_WITH_IDS: Mapping[Kind, Table] = {"prediction": predictions, "item": items, "answer": answers, "run": runs}


@dataclass(frozen=True)
class Subject:
    """What an id is that of: its kind, the task it belongs to, and its whole id, name or hash."""

    kind: Kind
    task: str
    id: str


@dataclass(frozen=True)
class Lineage:
    """What is known of a `subject`; what does not apply is None or empty.

    `model` is the version that made the prediction (of an item: its first one), or the version itself, with what it
    learnt from. `reached` is where people's answers to the item went, by resolution, oldest first; of an answer, those
    resolutions that rest on it. A snapshot comes with the runs that learnt from it.
    """

    subject: Subject
    prediction: PredictionSaid | None = None
    item: ItemSaid | None = None
    answer: AnswerSaid | None = None
    run: Run | None = None
    model: VersionLine | None = None
    reached: list[Reached] | None = None
    snapshot: SnapshotUse | None = None
    made: list[Made] | None = None

    @property
    def notes(self) -> list[Note]:
        """Why its lines end where they end, if they do so early."""
        found: list[Note] = []
        if self.item is not None:
            found += self.item.notes
            if not found and self.answer is not None and not self.reached:
                found.append("uncounted")
            elif not found and not any(one.snapshots for one in self.reached or ()):
                found.append("unused")
        if self.model is not None and self.model.run is None:
            found.append("files")
        return found


def trace(store: Store, identifier: str, tasks: Collection[str] | None = None, *, most: int = 20) -> Lineage:
    """Return the lineage of a prediction, item, answer or run by its id, of a version by its name, or of a snapshot.

    A snapshot is named by its hash, or at least six digits of it. Only what belongs to one of `tasks` is found, if they
    are given. Of the reviewed items of a snapshot, and of the snapshots that an answer reached, there are `most` at
    most.

    Raises:
        NotFoundError: there is nothing of that id, or several snapshots begin with these digits.
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        subject = _find(connection, identifier, tasks)
        if subject is None:
            raise _unknown(identifier)
        return Lineage(subject, **_LINES[subject.kind](connection, subject, most))


def trace_version(store: Store, task: str, version: str, *, most: int = 20) -> Lineage:
    """Return the lineage of a version of `task`, which the store need not know: it may have been trained from files.

    Raises:
        UnavailableError: the store is away.
    """
    subject = Subject("version", task, version)
    with store.read() as connection:
        return Lineage(subject, **_of_version(connection, subject, most))


def _find(connection: Connection, identifier: str, tasks: Collection[str] | None) -> Subject | None:
    if not is_id(identifier):
        return _find_snapshot(connection, identifier, tasks) or _find_version(connection, identifier, tasks)
    for kind, table in _WITH_IDS.items():
        task = connection.scalar(select(table.c.task).where(table.c.id == identifier))
        if task is not None:
            return Subject(kind, task, identifier) if tasks is None or task in tasks else None
    return None


def _find_snapshot(connection: Connection, digits: str, tasks: Collection[str] | None) -> Subject | None:
    if not HASH_PREFIX.fullmatch(digits):
        return None
    wanted = select(snapshots.c.task, snapshots.c.sha256).where(snapshots.c.sha256.startswith(digits, autoescape=True))
    if tasks is not None:
        wanted = wanted.where(snapshots.c.task.in_(sorted(tasks)))
    found = connection.execute(wanted.limit(2)).all()
    if len(found) > 1:
        raise NotFoundError(f"several snapshots begin with {digits}; give more of the hash")
    return Subject("snapshot", found[0].task, found[0].sha256) if found else None


def _find_version(connection: Connection, name: str, tasks: Collection[str] | None) -> Subject | None:
    task = find_version(connection, name, tasks)
    return Subject("version", task, name) if task is not None else None


def _of_prediction(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    said = prediction_said(connection, subject.id)
    known = {"prediction": said, "model": version_line(connection, subject.task, said.version, most)}
    if said.item_id is None:
        return known
    reached = reached_by(connection, said.item_id, most)
    return known | {"item": item_said(connection, said.item_id, most), "reached": reached}


def _of_item(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    item = item_said(connection, subject.id, most)
    model = version_line(connection, subject.task, item.version, most) if item.version is not None else None
    return {"item": item, "model": model, "reached": reached_by(connection, subject.id, most)}


def _of_answer(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    answer = answer_said(connection, subject.id)
    reached = [one for one in reached_by(connection, answer.item_id, most) if subject.id in one.answer_ids]
    return {"answer": answer, "item": item_said(connection, answer.item_id, most), "reached": reached}


def _of_run(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    """Return the run with its version, or, where it made none, with the snapshot that it took, if it took one."""
    run = read_run(connection, subject.id)
    if run.version is not None:
        return {"run": run, "model": version_line(connection, run.task, run.version, most)}
    sha256 = run.snapshot_sha256
    return {"run": run, "snapshot": snapshot_use(connection, sha256, most) if sha256 is not None else None}


def _of_version(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    return {"model": version_line(connection, subject.task, subject.id, most)}


def _of_snapshot(connection: Connection, subject: Subject, most: int) -> dict[str, Any]:
    found = snapshot_use(connection, subject.id, most)
    return {"snapshot": found, "made": made_from(connection, [found.record])[subject.id] if found else []}


def _unknown(identifier: str) -> NotFoundError:
    return NotFoundError(
        f"nothing here has the id {identifier[:80]!r}; expected that of a prediction, an item, an answer or a run, a "
        "model version, or at least six digits of a snapshot's hash; predictions about which nobody was asked are "
        "forgotten after REGRADE_KEEP_DAYS"
    )


_LINES: Mapping[Kind, Callable[[Connection, Subject, int], dict[str, Any]]] = {
    "prediction": _of_prediction,
    "item": _of_item,
    "answer": _of_answer,
    "run": _of_run,
    "version": _of_version,
    "snapshot": _of_snapshot,
}
