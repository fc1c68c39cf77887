"""What annotators write in their own words beside an answer: comments, reasons for a flag, labels they miss."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from core.ids import new_id
from core.redaction import Redactor
from feedback.schema import texts
from feedback.texts import add_texts, new_text
from tasks.declaration import Task

_SUBJECT = select(texts.c.subject).where(texts.c.id == bindparam("id"))


def keep_remark(connection: Connection, task: Task, about: str, remark: str | None, now: datetime) -> str | None:
    """Keep a remark, redacted, and return its text's id; None where there is none.

    It belongs to the same person as the text `about`, an id, and so is erased with it.
    """
    if not remark:
        return None
    subject = connection.execute(_SUBJECT, {"id": about}).scalar_one_or_none()
    text = new_text(new_id(), Redactor(task.redact)(remark), subject, now)
    add_texts(connection, [text])
    return text.id
