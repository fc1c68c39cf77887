"""One item with everything about it, for those who may see everything of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from feedback.schema import answers, items, predictions, reports, resolutions, texts, undoings
from feedback.store import Store
from feedback.values import in_words, label_names

_ANSWER = ("id", "round", "annotator", "role", "kind", "counted", "revision", "seconds", "created_at")
_RESOLUTION = ("id", "round", "revision", "kind", "confirms", "method", "answer_ids", "created_at")
_ITEM = ("id", "task", "state", "stage", "round", "wanted", "revision", "reason", "language", "hidden", "same_as")


def find_item(store: Store, identifier: str, *, most: int | None = None) -> dict[str, Any] | None:
    """Return an item with its text, answers, resolutions, predictions and reports, or None where there is none.

    Labels are names, in `label` or `labels`; `label` is `out_of_scope` where no label fits. Of the `resolutions` that
    were ever made, oldest first, `resolution` is the one that holds. The text is None once it was erased. Of
    predictions and reports there are `most` at most, if that is given: exact copies of a popular text share one item.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        joined = items.outerjoin(texts, texts.c.id == items.c.text_id)
        wanted = select(items, texts.c.content, texts.c.subject, texts.c.metadata).select_from(joined)
        row = connection.execute(wanted.where(items.c.id == identifier)).mappings().first()
        if row is None:
            return None
        names = label_names(connection, row["task"])
        final = _resolutions(connection, identifier, names)
        linked = {
            "answers": _answers(connection, identifier, names),
            "resolutions": final,
            "resolution": next((one for one in final if one["id"] == row["resolution_id"]), None),
            "predictions": _predictions(connection, identifier, most),
            "reports": _reports(connection, identifier, most),
        }
    return _described(row, names) | linked


def _described(row: RowMapping, names: Mapping[int, str]) -> dict[str, Any]:
    about = {name: row[name] for name in _ITEM}
    return about | {
        "text": row["content"],
        "subject": row["subject"],
        "metadata": row["metadata"],
        "suggestions": [{"label": label, "score": score} for label, score in row["suggestions"]],
        "check": None if row["check_value"] is None else in_words(row["check_value"], names),
        "created_at": row["created_at"],
        "resolved_at": row["resolved_at"],
    }


def _answers(connection: Connection, identifier: str, names: Mapping[int, str]) -> list[dict[str, Any]]:
    comment, proposed = texts.alias("comment"), texts.alias("proposed")
    joined = (
        answers.outerjoin(comment, comment.c.id == answers.c.comment_id)
        .outerjoin(proposed, proposed.c.id == answers.c.proposed_id)
        .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    )
    said = (comment.c.content.label("comment"), proposed.c.content.label("proposed_label"))
    wanted = select(answers, *said, undoings.c.answer_id.is_not(None).label("undone")).select_from(joined)
    rows = connection.execute(wanted.where(answers.c.item_id == identifier).order_by(answers.c.id)).mappings()
    kept = (*_ANSWER, "comment", "proposed_label", "undone")
    return [{name: row[name] for name in kept} | in_words(row["value"], names) for row in rows]


def _resolutions(connection: Connection, identifier: str, names: Mapping[int, str]) -> list[dict[str, Any]]:
    wanted = select(resolutions).where(resolutions.c.item_id == identifier).order_by(resolutions.c.id)
    return [
        {name: row[name] for name in _RESOLUTION}
        | in_words(row["value"], names)
        | {"posterior": [in_words(value, names) | {"score": score} for value, score in row["posterior"]]}
        for row in connection.execute(wanted).mappings()
    ]


def _predictions(connection: Connection, identifier: str, most: int | None) -> list[str]:
    wanted = select(predictions.c.id).where(predictions.c.item_id == identifier)
    return list(connection.scalars(wanted.order_by(predictions.c.id).limit(most)))


def _reports(connection: Connection, identifier: str, most: int | None) -> list[dict[str, Any]]:
    about = ("id", "prediction_id", "source", "created_at")
    wanted = select(reports).where(reports.c.item_id == identifier).order_by(reports.c.id).limit(most)
    return [{name: row[name] for name in about} for row in connection.execute(wanted).mappings()]
