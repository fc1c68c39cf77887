"""The spool: where facts wait on this host while the store is away, to be forwarded exactly once.

A journal of facts rather than a copy of the tables: a fact is complete and its ids were made beforehand, so that
forwarding calls the function that would have written it at once, and writing it twice changes nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, delete, event, func, select
from sqlalchemy import update as update_
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError, ProgrammingError

from core.errors import SettingError, UnavailableError
from feedback.store import Store

logger = logging.getLogger("regrade.spool")

_BATCH = 500
"""Entries forwarded in one transaction at most."""

Handler = Callable[[Store, Connection, Sequence[bytes]], object]
"""Writes facts of one kind, given as the JSON that `Spool.add` made of them, into the store's transaction; writing a
fact again must change nothing."""

_metadata = MetaData()
_entries = Table(
    "entries",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("refused", Integer, nullable=False),
)
"""Facts in the order in which they came; `refused` is 1 for one that the store did not take though it was there."""


class NotYetError(Exception):
    """What a fact speaks of is not in the store yet: it waits on, and those behind it go on."""


class Entry(NamedTuple):
    """A fact that waits: its place, its id, its kind (`prediction`, `report`) and its JSON."""

    number: int
    id: str
    kind: str
    body: bytes


class Spool:
    """An SQLite file beside the store, shared by the workers of this host; made when it is first needed."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; nothing is opened yet."""
        self._path = path
        self._file: Store | None = None

    def add(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Keep `facts` (dataclasses or plain values, by id) durably; one whose id is there already stays as it is.

        Raises:
            UnavailableError: the file cannot be written.
        """
        rows = [
            {"id": identifier, "kind": kind, "body": orjson.dumps(fact), "refused": 0}
            for identifier, fact in facts.items()
        ]
        with self._opened().write() as connection:
            connection.execute(insert(_entries).on_conflict_do_nothing(), rows)

    def count(self) -> int:
        """Return how many facts wait; 0 where there is no file.

        Raises:
            UnavailableError: the file cannot be read.
        """
        if not self._path.exists():
            return 0
        with self._opened().read() as connection:
            waiting = select(func.count()).select_from(_entries).where(_entries.c.refused == 0)
            return int(connection.execute(waiting).scalar_one())

    def forward(self, store: Store, handlers: Mapping[str, Handler]) -> int:
        """Write what waits into `store`, the oldest of each kind first, and return how many facts the store refused.

        Only one process does so at a time: to the others there is nothing to do. A fact that the store refuses though
        it answers is set aside in the file, so that those behind it go on.

        Raises:
            UnavailableError: the store went away again, or the file cannot be used; what is not forwarded waits on.
        """
        refused = 0
        with self._turn() as mine:
            place = 0
            while mine and (batch := self._oldest(place)):
                place = batch[-1].number
                for kind, group in groupby(batch, key=lambda entry: entry.kind):
                    refused += self._forward(store, handlers[kind], list(group))
            if mine:
                self._wipe()
        return refused

    def drop(self, unwanted: Callable[[str, dict[str, Any]], bool]) -> int:
        """Delete every fact, refused ones included, of which `unwanted(kind, fact)` is true; return how many.

        It is asked of each in the order in which they came.

        Waits until what is being forwarded has been, so that nothing slips past whoever erases.

        Raises:
            UnavailableError: the file cannot be used.
        """
        if not self._path.exists():
            return 0
        with self._turn(wait=True), self._opened().write() as connection:
            everything = select(_entries.c.number, _entries.c.kind, _entries.c.body).order_by(_entries.c.number)
            rows = connection.execute(everything).all()
            found = [row.number for row in rows if unwanted(row.kind, orjson.loads(row.body))]
            for number in found:
                connection.execute(delete(_entries).where(_entries.c.number == number))
        self._wipe()
        return len(found)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> Store:
        if self._file is None:
            try:
                file = Store(f"sqlite:///{self._path}")
            except SettingError as error:
                raise UnavailableError(str(error)) from error
            event.listen(file.engine, "connect", _overwrite_what_is_deleted)
            with file.write() as connection:
                _metadata.create_all(connection)
            self._file = file
        return self._file

    @contextmanager
    def _turn(self, *, wait: bool = False) -> Iterator[bool]:
        """Give whether this process is the one that forwards; the kernel frees the right when its holder dies."""
        descriptor = os.open(f"{self._path}.forwarding", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)

    def _oldest(self, place: int) -> list[Entry]:
        """Return the oldest entries that wait, of those behind `place`."""
        columns = (_entries.c.number, _entries.c.id, _entries.c.kind, _entries.c.body)
        # Predictions come before reports, which tell of them.
        order = (_entries.c.kind, _entries.c.number)
        waiting = (
            select(*columns).where(_entries.c.refused == 0, _entries.c.number > place).order_by(*order).limit(_BATCH)
        )
        with self._opened().read() as connection:
            return [Entry(*row) for row in connection.execute(waiting)]

    def _forward(self, store: Store, handler: Handler, entries: Sequence[Entry]) -> int:
        """Write `entries` of one kind and then forget them; one by one where they are refused together."""
        try:
            with store.write() as connection:
                handler(store, connection, [entry.body for entry in entries])
        except Exception as error:
            if _passes(error):
                raise
            if len(entries) > 1:
                return sum(self._forward(store, handler, [entry]) for entry in entries)
            if isinstance(error, NotYetError):
                return 0
            # Only the error's name: its message may repeat the text.
            logger.error("%s %s is refused by the store (%s)", entries[0].kind, entries[0].id, _name(error))  # noqa: TRY400
            self._set_aside(entries[0])
            return 1
        with self._opened().write() as connection:
            done = _entries.c.number.in_([entry.number for entry in entries])
            connection.execute(delete(_entries).where(done))
        return 0

    def _set_aside(self, entry: Entry) -> None:
        with self._opened().write() as connection:
            connection.execute(update_(_entries).where(_entries.c.number == entry.number).values(refused=1))

    def _wipe(self) -> None:
        """Leave nothing of what was deleted in the journal of the file."""
        raw = self._opened().engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            raw.close()


def _passes(error: Exception) -> bool:
    """Tell whether trying again may help: the store is away or busy, and nothing is wrong with the fact."""
    wrong_fact = isinstance(error.__cause__, (DataError, IntegrityError, ProgrammingError, NotSupportedError))
    return isinstance(error, UnavailableError) and not wrong_fact


def _name(error: Exception) -> str:
    return type(error.__cause__ or error).__name__


def _overwrite_what_is_deleted(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA secure_delete=ON")
