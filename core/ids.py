"""Identifiers: UUIDv7 (RFC 9562), whose text order is the order of creation."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 as 36 characters of lower-case text."""
    return str(uuid_utils.uuid7())
