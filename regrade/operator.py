"""Who works at the command line, and the store as they open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.roles import Caller
    from core.settings import Settings
    from feedback.store import Store


def operator() -> Caller:
    """Return who the audit log names: whoever may run commands on this machine may do everything."""
    import getpass

    from core.roles import Caller

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return Caller(f"cli:{user}", "admin")


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """Give the store until the block ends.

    Raises:
        UnavailableError: the store is away.
    """
    from feedback.store import open_store

    store = open_store(settings.store_url)
    try:
        yield store
    finally:
        store.close()
