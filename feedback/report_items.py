"""The items that reports of applications open, or stand under."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from secrets import SystemRandom

from sqlalchemy import Connection, RowMapping, select

from feedback.facts import NewItem, NewText
from feedback.items import add_items
from feedback.new_items import new_item
from feedback.schema import items, reports
from feedback.store import Store
from feedback.texts import add_texts
from tasks.declaration import Task

_URGENCY = 0.95
"""Place in the queue of what a user complained about: behind nothing but the most doubtful."""

_CHANCE = SystemRandom()


def ask_about_text(store: Store, connection: Connection, task: Task, text: NewText) -> str:
    """Ask people about a text that nothing was predicted of; return the item it stands under."""
    add_texts(connection, [text])
    item = _item(task, text, (), None)
    return add_items(store, connection, [item])[item.id]


def item_of_prediction(
    store: Store, connection: Connection, task: Task, said: RowMapping, at: datetime, *, ask: bool
) -> str | None:
    """Return the item that people are or were asked under about a prediction; with `ask`, make one if there is none.

    `said` is the prediction with `sha256`, `content` and `subject` of its text, which are None once it was erased: then
    it cannot be asked about any more.
    """
    item_id = said["item_id"] or _asked_before(connection, said["id"])
    if item_id is not None:
        return _standing(connection, item_id)
    if not ask or said["content"] is None:
        return None
    text = NewText(said["id"], said["sha256"], said["content"], said["subject"], said["created_at"])
    suggestions = tuple((name, float(score)) for name, score in said["scores"])
    item = replace(_item(task, text, suggestions, said["language"]), created_at=at)
    return add_items(store, connection, [item])[item.id]


def _item(task: Task, text: NewText, suggestions: tuple[tuple[str, float], ...], language: str | None) -> NewItem:
    hidden = _CHANCE.random() < task.review.hide_suggestions
    return new_item(task, text, "user_report", _URGENCY, suggestions=suggestions, language=language, hidden=hidden)


def _asked_before(connection: Connection, prediction_id: str) -> str | None:
    """Return the item that an earlier report of the same prediction opened, if one did."""
    earlier = select(reports.c.item_id).where(reports.c.prediction_id == prediction_id, reports.c.item_id.is_not(None))
    return connection.execute(earlier.limit(1)).scalar_one_or_none()


def _standing(connection: Connection, item_id: str) -> str:
    """Follow an item that was merged into another one to that one."""
    same_as = connection.execute(select(items.c.same_as).where(items.c.id == item_id)).scalar_one_or_none()
    return item_id if same_as is None else _standing(connection, same_as)
