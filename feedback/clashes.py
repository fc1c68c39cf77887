"""Write transactions that are run again when they got in each other's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from core.errors import UnavailableError
from feedback.store import Store

_ATTEMPTS = 4
_DEADLOCK, _SERIALIZATION = "40P01", "40001"
_Result = TypeVar("_Result")


def write_again(store: Store, work: Callable[[Connection], _Result]) -> _Result:
    """Run `work` in a write transaction of `store` and return what it returns.

    It is run again from the beginning, a few times at most, where PostgreSQL says that another transaction took the
    same row at the same moment: a unique constraint, or a deadlock, which it ends for one of the two.

    Raises:
        UnavailableError: the database is away, or the clash came again and again.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with store.write() as connection:
                return work(connection)
        except UnavailableError as error:
            if attempt == _ATTEMPTS or not _is_clash(error.__cause__):
                raise
    raise AssertionError("the last attempt returns or raises")


def _is_clash(error: BaseException | None) -> bool:
    if isinstance(error, OperationalError):
        return getattr(error.orig, "sqlstate", None) in {_DEADLOCK, _SERIALIZATION}
    return isinstance(error, IntegrityError)
