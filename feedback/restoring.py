"""Exported rows on their way back into a store: items, answers and resolutions as they were, under their own ids.

Restoring is no new judgement: no event tells of it, nobody is asked, and what is there already stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select, update

from core.ids import new_id
from core.near_key import near_key
from core.redaction import Redactor
from core.roles import Caller
from feedback import audit
from feedback.exports import What
from feedback.facts import OUTSIDE, NewText
from feedback.restored import AnswerRow, ResolutionRow, Said, ShortAnswer, read_row
from feedback.schema import answers, encounters, items, predictions, resolutions, undoings
from feedback.store import Store
from feedback.tallies import add_tallies
from feedback.texts import add_texts, new_text
from feedback.upsert import insert_new
from feedback.values import label_names
from tasks.declaration import Task

_NOTED = (
    update(answers)
    .where(answers.c.id == bindparam("answer"))
    .values(comment_id=bindparam("comment_id"), proposed_id=bindparam("proposed_id"))
)


@dataclass(frozen=True)
class Restored:
    """How many rows were put back, how many were there already, and the faults of others, by position."""

    put_back: int
    known: int
    faults: list[tuple[int, str]]


class _UnknownLabelError(Exception):
    """A row names a label that the task has not and never had here."""


@dataclass
class _Draft:
    """Rows to be written by table, and the texts before them."""

    task: Task
    ids: Mapping[str, int]
    redact: Redactor
    texts: list[NewText]
    rows: defaultdict[Table, list[dict[str, Any]]]

    def stored(self, said: Said) -> Any:
        """Return what `said` says as the database keeps it; names become ids."""
        if said.labels is not None:
            return sorted(self._id(name) for name in said.labels)
        return said.label if said.label in {None, OUTSIDE} else self._id(str(said.label))

    def _id(self, name: str) -> int:
        if name not in self.ids:
            raise _UnknownLabelError(f"{name!r} is no label of {self.task.name}, now or before")
        return self.ids[name]


def restore(store: Store, task: Task, caller: Caller, what: What, given: Sequence[dict[str, Any]]) -> Restored:
    """Put exported rows of `task` back, all that are usable in one transaction.

    Answers need their items, so that resolutions come first.

    Raises:
        UnavailableError: the store is away.
    """
    faults: list[tuple[int, str]] = []
    with store.write() as connection:
        store.lock(connection, f"intake {task.name}")
        draft = _Draft(task, _label_ids(connection, task), Redactor(task.redact), [], defaultdict(list))
        read = {position: read_row(what, row) for position, row in enumerate(given)}
        faults = [(position, row) for position, row in read.items() if isinstance(row, str)]
        resolved = {position: row for position, row in read.items() if isinstance(row, ResolutionRow)}
        said = {position: row for position, row in read.items() if isinstance(row, AnswerRow)}
        known = _add_resolutions(connection, draft, resolved, faults) + _add_answers(connection, draft, said, faults)
        put_back = len(given) - known - len(faults)
        _write(store, connection, draft)
        audit.note(connection, caller, "import", task.name, what=what, rows=put_back)
    return Restored(put_back, known, sorted(faults))


def _label_ids(connection: Connection, task: Task) -> dict[str, int]:
    names = label_names(connection, task.name) | {label.id: label.name for label in task.labels}
    return {name: identifier for identifier, name in names.items()}


def _there(connection: Connection, table: Table, ids: set[str]) -> set[str]:
    return set(connection.scalars(select(table.c.id).where(table.c.id.in_(sorted(ids)))))


def _add_resolutions(
    connection: Connection, draft: _Draft, rows: Mapping[int, ResolutionRow], faults: list[tuple[int, str]]
) -> int:
    """Draft what is not there yet; return how many are."""
    there = _there(connection, items, {row.item_id for row in rows.values()})
    known = 0
    for position, row in rows.items():
        if row.item_id in there:
            known += 1
            continue
        there.add(row.item_id)
        try:
            value, votes = draft.stored(row), [draft.stored(one) for one in row.answers]
            posterior = [[draft.stored(one), one.score] for one in row.posterior]
        except _UnknownLabelError as error:
            faults.append((position, str(error)))
            continue
        text = new_text(row.prediction_id or new_id(), draft.redact(row.text), row.subject, row.created_at)
        draft.texts.append(text)
        draft.rows[items].append(_item(draft.task, row, text))
        draft.rows[resolutions].append(_resolution(draft.task, row, value, posterior))
        for one, vote in zip(row.answers, votes, strict=True):
            _add_answer(draft, one, row.item_id, row.round, vote)
        if row.prediction_id is not None:
            draft.rows[predictions].append(_prediction(draft.task, row))
    return known


def _item(task: Task, row: ResolutionRow, text: NewText) -> dict[str, Any]:
    return {
        "id": row.item_id,
        "task": task.name,
        "state": "resolved",
        "stage": "crowd",
        "round": row.round,
        "wanted": len(row.answers),
        "revision": row.revision,
        "reason": row.reason,
        "text_id": text.id,
        "text_sha256": text.sha256,
        "cluster": near_key("", text.content),
        "suggestions": [[one.label, one.score] for one in row.suggestions],
        "hidden": False,
        "language": row.language,
        "rank": row.created_at.timestamp(),
        "open_key": None,
        "same_as": None,
        "check_value": None,
        "resolution_id": row.resolution_id,
        "created_at": row.created_at,
        "resolved_at": row.resolved_at,
    }


def _resolution(task: Task, row: ResolutionRow, value: Any, posterior: list[list[Any]]) -> dict[str, Any]:
    return {
        "id": row.resolution_id,
        "task": task.name,
        "item_id": row.item_id,
        "round": row.round,
        "revision": row.revision,
        "kind": row.kind,
        "value": value,
        "confirms": row.confirms,
        "posterior": posterior,
        "method": row.method,
        "answer_ids": [one.answer_id for one in row.answers],
        "created_at": row.resolved_at,
    }


def _prediction(task: Task, row: ResolutionRow) -> dict[str, Any]:
    """Return the model's part; it was not drawn here, so that it has no inclusion probability and no reason."""
    return {
        "id": row.prediction_id,
        "task": task.name,
        "version": row.model_version or "",
        "revision": row.revision,
        "label": row.model_label or "",
        "labels": None,
        "spans": None,
        "confidence": row.model_confidence or 0.0,
        "scores": [[one.label, one.score] for one in row.suggestions],
        "out_of_scope": row.model_out_of_scope or 0.0,
        "truncated": False,
        "language": row.language,
        "metadata": None,
        "key_id": None,
        "reason": None,
        "inclusion": 0.0,
        "item_id": row.item_id,
        "created_at": row.created_at,
    }


def _add_answer(draft: _Draft, one: ShortAnswer, item_id: str, turn: int, value: Any) -> dict[str, Any]:
    row = {
        "id": one.answer_id,
        "task": draft.task.name,
        "item_id": item_id,
        "round": turn,
        "slot_id": None,
        "lease_token": None,
        "annotator": one.annotator,
        "role": one.role,
        "key_id": None,
        "revision": one.revision,
        "kind": one.kind,
        "value": value,
        "counted": one.counted,
        "comment_id": None,
        "proposed_id": None,
        "seconds": one.seconds,
        "created_at": one.created_at,
    }
    draft.rows[answers].append(row)
    draft.rows[encounters].append({"item_id": item_id, "round": turn, "annotator": one.annotator})
    return row


def _add_answers(
    connection: Connection, draft: _Draft, rows: Mapping[int, AnswerRow], faults: list[tuple[int, str]]
) -> int:
    """Draft what is not there yet, also what was written in an answer that is; return how many are there whole."""
    noted = _noted(connection, {row.answer_id for row in rows.values()})
    asked = _there(connection, items, {row.item_id for row in rows.values()})
    known = 0
    for position, row in rows.items():
        if row.item_id not in asked:
            faults.append((position, f"its item {row.item_id} is not here; import the resolutions first"))
            continue
        try:
            value = draft.stored(row)
        except _UnknownLabelError as error:
            faults.append((position, str(error)))
            continue
        written = row.comment is not None or row.proposed_label is not None
        if row.answer_id not in noted:
            _add_answer(draft, row, row.item_id, row.round, value).update(_notes(draft, row))
        elif written and not noted[row.answer_id]:
            connection.execute(_NOTED, {"answer": row.answer_id, **_notes(draft, row)})
        else:
            known += 1
        noted[row.answer_id] = True
        if row.undone_at is not None:
            undone = {"answer_id": row.answer_id, "annotator": row.annotator, "created_at": row.undone_at}
            draft.rows[undoings].append(undone)
    return known


def _noted(connection: Connection, ids: set[str]) -> dict[str, bool]:
    """Return which answers are there, and whether each has a comment or proposed label."""
    columns = (answers.c.id, answers.c.comment_id, answers.c.proposed_id)
    found = connection.execute(select(*columns).where(answers.c.id.in_(sorted(ids))))
    return {row.id: row.comment_id is not None or row.proposed_id is not None for row in found}


def _notes(draft: _Draft, row: AnswerRow) -> dict[str, str | None]:
    return {"comment_id": _note(draft, row, row.comment), "proposed_id": _note(draft, row, row.proposed_label)}


def _note(draft: _Draft, row: AnswerRow, content: str | None) -> str | None:
    if content is None:
        return None
    text = new_text(new_id(), draft.redact(content), row.subject, row.created_at)
    draft.texts.append(text)
    return text.id


def _write(store: Store, connection: Connection, draft: _Draft) -> None:
    add_texts(connection, draft.texts)
    for table in (items, predictions, resolutions, answers, undoings, encounters):
        if draft.rows[table]:
            connection.execute(insert_new(connection, table), draft.rows[table])
    deltas: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in draft.rows[items]:
        deltas[row["task"], f"items.resolved.{row['reason']}"] += 1
    add_tallies(store, connection, deltas)
