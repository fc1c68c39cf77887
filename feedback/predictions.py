"""Predictions as they are looked up later, and how long they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, select

from core.ids import first_id, id_moment, is_id
from feedback.demo import is_real
from feedback.facts import OUTSIDE
from feedback.schema import items, predictions, reports, resolutions, task_revisions, texts
from feedback.store import Store
from feedback.values import in_words, label_names

_BATCH = 500
"""Predictions deleted in one transaction: others who write wait for it."""

_ON_ITS_WAY = timedelta(seconds=3)
"""Age up to which a prediction that was replied may not be recorded yet."""


def find_prediction(store: Store, identifier: str) -> dict[str, Any] | None:
    """Return what was said of a text and what became of it, or None where no such prediction is kept.

    Times are datetimes; `text`, `subject` and `item` may be None. `item` holds `item_id`, `state`, `reason` and
    `resolution`, in which `label` or `labels` are names, `label` being `out_of_scope` where no label fits.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        joined = predictions.outerjoin(texts, texts.c.id == predictions.c.id)
        wanted = select(predictions, texts.c.content, texts.c.subject).select_from(joined)
        row = connection.execute(wanted.where(predictions.c.id == identifier)).mappings().first()
        if row is None:
            return None
        item = _item(connection, row["item_id"]) if row["item_id"] else None
        told = _reports(connection, identifier)
    said = {name: row[name] for name in predictions.c.keys() if name not in {"version", "scores", "item_id"}}  # noqa: SIM118
    scores = [{"label": label, "score": score} for label, score in row["scores"]]
    said |= {"model_version": row["version"], "scores": scores, "text": row["content"], "subject": row["subject"]}
    return said | {"item": item, "reports": told}


def may_be_on_its_way(identifier: str) -> bool:
    """Tell whether a prediction of this id, not found, may still be recorded: its UUIDv7 says that it is that young."""
    return is_id(identifier) and abs(datetime.now(UTC) - id_moment(identifier)) < _ON_ITS_WAY


def prune(store: Store, keep_days: int) -> int:
    """Delete predictions older than `keep_days`, with their texts, unless they have an item or a report.

    Returns how many. Traffic counters stay, and so does demo data, until it is cleared. Every transaction is small, and
    what is left over comes next time.
    """
    deleted, place = 0, ""
    with store.read() as connection:
        limit = first_id(store.now(connection) - timedelta(days=keep_days))
    while True:
        with store.write() as connection:
            found = list(connection.scalars(_OLD, {"place": place, "limit": limit, "most": _BATCH}))
            if found:
                connection.execute(delete(texts).where(texts.c.id.in_(found)))
                connection.execute(delete(predictions).where(predictions.c.id.in_(found)))
        deleted += len(found)
        if len(found) < _BATCH:
            return deleted
        place = found[-1]


_REPORTED = exists().where(reports.c.prediction_id == predictions.c.id)
_OLD = (
    select(predictions.c.id)
    .where(predictions.c.id > bindparam("place"), predictions.c.id < bindparam("limit"))
    .where(predictions.c.item_id.is_(None), is_real(predictions.c.language), ~_REPORTED)
    .order_by(predictions.c.id)
    .limit(bindparam("most"))
)


def _item(connection: Connection, identifier: str) -> dict[str, Any] | None:
    row = connection.execute(select(items).where(items.c.id == identifier)).mappings().first()
    if row is None:
        return None
    final = select(resolutions).where(resolutions.c.id == row["resolution_id"])
    resolved = connection.execute(final).mappings().first() if row["resolution_id"] else None
    resolution = _resolution(connection, resolved) if resolved else None
    return {"item_id": row["id"], "state": row["state"], "reason": row["reason"], "resolution": resolution}


def _resolution(connection: Connection, row: RowMapping) -> dict[str, Any]:
    names = _label_names(connection, row["task"], row["revision"])
    value = row["value"]
    label = labels = None
    if isinstance(value, list):
        labels = [names.get(one, str(one)) for one in value]
    elif value is not None:
        label = value if value == OUTSIDE else names.get(value, str(value))
    about = {name: row[name] for name in ("revision", "confirms", "method", "created_at")}
    return {"label": label, "labels": labels} | about


def _label_names(connection: Connection, task: str, revision: int) -> dict[int, str]:
    wanted = select(task_revisions.c.labels).where(task_revisions.c.task == task, task_revisions.c.revision == revision)
    return {label["id"]: label["name"] for label in connection.execute(wanted).scalar_one_or_none() or []}


def _reports(connection: Connection, prediction_id: str) -> list[dict[str, Any]]:
    wanted = select(reports).where(reports.c.prediction_id == prediction_id).order_by(reports.c.id)
    rows = connection.execute(wanted).all()
    names = label_names(connection, rows[0].task) if rows else {}
    about = ("correct", "source", "created_at")
    return [
        {"report_id": row.id, **in_words(row.value, names), **{name: getattr(row, name) for name in about}}
        for row in rows
    ]
