"""The audit log: who changed what, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from core.roles import Caller
from feedback.schema import audit


def note(
    connection: Connection, caller: Caller, action: str, subject: str, **details: str | int | float | bool | None
) -> None:
    """Add an entry, in the transaction of the change it tells of.

    `action` is a verb such as `answer` or `keys.create`, `subject` the id of what was changed. Neither they nor
    `details` may hold a text.
    """
    entry = {"actor": caller.person, "role": caller.role, "action": action, "object": subject, "details": details}
    connection.execute(audit.insert().values(entry | {"created_at": datetime.now(UTC)}))
