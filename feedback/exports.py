"""Answers and resolutions as rows for files: read page by page, so that any number of them takes little memory.

A row of either kind holds all that `feedback/restoring.py` needs to put it into another store as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, Select, func, select

from core.roles import Caller
from feedback import audit
from feedback.conditions import HOLDS
from feedback.facts import OUTSIDE
from feedback.schema import answers, items, predictions, resolutions, texts, undoings
from feedback.store import Store
from feedback.values import in_words, label_names
from tasks.declaration import Task

What = Literal["resolutions", "answers"]
WHATS: tuple[What, ...] = get_args(What)

Kind = Literal["text", "words", "flag", "whole", "share", "moment", "json"]
"""What a column holds: a string, a list of strings, a boolean, an int, a float, a UTC moment, or lists of objects."""

COLUMNS: Mapping[What, Mapping[str, Kind]] = {
    "resolutions": {
        "item_id": "text",
        "resolution_id": "text",
        "prediction_id": "text",
        "text": "text",
        "subject": "text",
        "language": "text",
        "kind": "text",
        "label": "text",
        "labels": "words",
        "out_of_scope": "flag",
        "confirms": "flag",
        "posterior": "json",
        "method": "text",
        "answer_count": "whole",
        "annotators": "words",
        "answers": "json",
        "reason": "text",
        "suggestions": "json",
        "model_version": "text",
        "model_label": "text",
        "model_confidence": "share",
        "model_out_of_scope": "share",
        "round": "whole",
        "revision": "whole",
        "created_at": "moment",
        "resolved_at": "moment",
    },
    "answers": {
        "item_id": "text",
        "answer_id": "text",
        "text": "text",
        "subject": "text",
        "language": "text",
        "annotator": "text",
        "role": "text",
        "kind": "text",
        "label": "text",
        "labels": "words",
        "out_of_scope": "flag",
        "counted": "text",
        "undone_at": "moment",
        "comment": "text",
        "proposed_label": "text",
        "seconds": "share",
        "round": "whole",
        "revision": "whole",
        "created_at": "moment",
    },
}
"""The columns of each kind of row, in order."""

_PAGE = 500

_Line = dict[str, Any]


@dataclass(frozen=True)
class Export:
    """What is to be exported of `task`: since a moment, or everything."""

    task: Task
    what: What
    since: datetime | None = None


def begin_export(store: Store, caller: Caller, export: Export, form: str) -> int:
    """Note in the audit log that `caller` takes the rows out as `form`; return how many there are.

    Raises:
        UnavailableError: the store is away.
    """
    query = _query(export).with_only_columns(func.count()).order_by(None)
    with store.read() as connection:  # counting may take seconds, for which nobody could write
        rows: int = connection.execute(query).scalar_one()
    with store.write() as connection:
        audit.note(connection, caller, "export", export.task.name, what=export.what, form=form, rows=rows)
    return rows


def export_pages(store: Store, export: Export) -> Iterator[list[_Line]]:
    """Yield the rows in the order of their ids, each a dict of `COLUMNS`; erased texts are left out.

    Raises:
        UnavailableError: the store is away.
    """
    key = resolutions.c.id if export.what == "resolutions" else answers.c.id
    describe = _resolution_lines if export.what == "resolutions" else _answer_lines
    last = ""
    while True:
        with store.read() as connection:
            rows = connection.execute(_query(export).where(key > last).order_by(key).limit(_PAGE)).all()
            names = label_names(connection, export.task.name)
            names |= {label.id: label.name for label in export.task.labels}
            lines = describe(connection, rows, names)
        if lines:
            yield lines
        if len(rows) < _PAGE:
            return
        last = rows[-1].id


def _query(export: Export) -> Select[Any]:
    if export.what == "resolutions":
        table = resolutions
        query = (
            select(resolutions, texts.c.content, texts.c.subject, items.c.language, items.c.reason)
            .add_columns(items.c.suggestions, items.c.created_at.label("asked_at"))
            .join_from(resolutions, items, HOLDS)
            .join(texts, texts.c.id == items.c.text_id)
        )
    else:
        table = answers
        query = (
            select(answers, texts.c.content, texts.c.subject, items.c.language)
            .add_columns(undoings.c.created_at.label("undone_at"))
            .join_from(answers, items, items.c.id == answers.c.item_id)
            .join(texts, texts.c.id == items.c.text_id)
            .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
        )
    query = query.where(table.c.task == export.task.name)
    return query if export.since is None else query.where(table.c.created_at >= export.since)


def _resolution_lines(connection: Connection, rows: Sequence[Row[Any]], names: Mapping[int, str]) -> list[_Line]:
    said = _by_id(connection, select(answers), [one for row in rows for one in row.answer_ids])
    # The first prediction of each: of copies there may be any number.
    mine = predictions.c.item_id.in_([row.item_id for row in rows])
    first = select(func.min(predictions.c.id)).where(mine).group_by(predictions.c.item_id)
    wanted = select(predictions).where(predictions.c.id.in_(first))
    predicted = {found.item_id: found for found in connection.execute(wanted)}
    return [_resolution_line(row, said, predicted.get(row.item_id), names) for row in rows]


def _resolution_line(
    row: Row[Any], said: Mapping[str, Row[Any]], model: Row[Any] | None, names: Mapping[int, str]
) -> _Line:
    given = [said[one] for one in row.answer_ids if one in said]
    return {
        "item_id": row.item_id,
        "resolution_id": row.id,
        "prediction_id": model.id if model else None,
        "text": row.content,
        "subject": row.subject,
        "language": row.language,
        **_value(row, names),
        "confirms": row.confirms,
        "posterior": [in_words(value, names) | {"score": score} for value, score in row.posterior],
        "method": row.method,
        "answer_count": len(given),
        "annotators": [one.annotator for one in given],
        "answers": [_short_answer(one, names) for one in given],
        "reason": row.reason,
        "suggestions": [{"label": label, "score": score} for label, score in row.suggestions],
        "model_version": model.version if model else None,
        "model_label": model.label if model else None,
        "model_confidence": model.confidence if model else None,
        "model_out_of_scope": model.out_of_scope if model else None,
        "round": row.round,
        "revision": row.revision,
        "created_at": row.asked_at,
        "resolved_at": row.created_at,
    }


def _short_answer(row: Row[Any], names: Mapping[int, str]) -> _Line:
    about = {"answer_id": row.id, "annotator": row.annotator, "role": row.role, "kind": row.kind}
    how = {"counted": row.counted, "seconds": row.seconds, "revision": row.revision}
    return about | in_words(row.value, names) | how | {"created_at": row.created_at.isoformat()}


def _answer_lines(connection: Connection, rows: Sequence[Row[Any]], names: Mapping[int, str]) -> list[_Line]:
    notes = [one for row in rows for one in (row.comment_id, row.proposed_id) if one is not None]
    content = {key: found.content for key, found in _by_id(connection, select(texts), notes).items()}
    return [_answer_line(row, content, names) for row in rows]


def _answer_line(row: Row[Any], content: Mapping[str, str], names: Mapping[int, str]) -> _Line:
    return {
        "item_id": row.item_id,
        "answer_id": row.id,
        "text": row.content,
        "subject": row.subject,
        "language": row.language,
        "annotator": row.annotator,
        "role": row.role,
        **_value(row, names),
        "counted": row.counted,
        "undone_at": row.undone_at,
        "comment": content.get(row.comment_id),
        "proposed_label": content.get(row.proposed_id),
        "seconds": row.seconds,
        "round": row.round,
        "revision": row.revision,
        "created_at": row.created_at,
    }


def _value(row: Row[Any], names: Mapping[int, str]) -> _Line:
    return {"kind": row.kind, **in_words(row.value, names), "out_of_scope": row.value == OUTSIDE}


def _by_id(connection: Connection, query: Select[Any], ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the rows of `query`'s table by id, for `ids` of one page."""
    (column,) = (column for column in query.selected_columns if column.name == "id")
    wanted = sorted(ids)
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(wanted), 5_000):
        found |= {row.id: row for row in connection.execute(query.where(column.in_(wanted[start : start + 5_000])))}
    return found
