"""Identifiers: UUIDv7 (RFC 9562), whose text order is the order of creation."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import uuid_utils

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a new UUIDv7 as 36 characters of lower-case text."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of what `new_id` makes; nothing else can be the id of anything."""
    return _FORM.fullmatch(text) is not None


def id_moment(identifier: str) -> datetime:
    """Return when an id was made, to the millisecond."""
    milliseconds = int(identifier[:8] + identifier[9:13], 16)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def first_id(moment: datetime) -> str:
    """Return the smallest id that can be made at `moment`: ids made since then are not below it."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
