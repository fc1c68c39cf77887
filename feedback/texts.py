"""The one table in which texts stand; everything else refers to them by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from core.demo import DEMO_SUBJECT
from core.text import text_hash
from feedback.bulk import write_rows
from feedback.facts import NewText
from feedback.schema import texts
from feedback.upsert import insert_new


def new_text(identifier: str, content: str, subject: str | None, created_at: datetime) -> NewText:
    """Return the fact of a text, redacted already, with the hash by which copies of it are found.

    A demo text is no copy of a real one.
    """
    digest = demo_hash(content) if subject == DEMO_SUBJECT else text_hash(content)
    return NewText(identifier, digest, content, subject, created_at)


def demo_hash(content: str) -> str:
    """Return the hash of a demo text, which no real text has."""
    return text_hash(f"{DEMO_SUBJECT} {content}")


def add_texts(connection: Connection, new: Sequence[NewText]) -> int:
    """Write `new` texts; those whose id is there already stay as they are. Returns how many were not there."""
    if not new:
        return 0
    rows = [
        {"id": t.id, "sha256": t.sha256, "content": t.content, "subject": t.subject, "created_at": t.created_at}
        for t in new
    ]
    return write_rows(connection, insert_new(connection, texts), rows)
