"""The database behind everything that is remembered: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from core.errors import SettingError, UnavailableError

_MIGRATIONS = Path(__file__).parent / "migrations"
_WAL_TIMEOUT_S = 10.0

_POSTGRES_PATIENCE = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "keepalives_idle": 5, "keepalives_interval": 2}
"""Seconds, and once milliseconds, after which a server that does not answer at all counts as away."""

_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _from_json(value: Any) -> Any:
    """Read JSON; SQLite's column type makes a number of a value that is nothing but one, before it gets here."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value


_OPTIONS: dict[str, Any] = {
    "hide_parameters": True,  # texts are among them, and a logged error would repeat them
    "json_serializer": lambda value: orjson.dumps(value, option=_JSON_OPTIONS).decode(),
    "json_deserializer": _from_json,
}


class Store:
    """A database engine with one way to read and one way to write."""

    def __init__(self, url: str) -> None:
        """Prepare to connect to `url` (SQLAlchemy's form); nothing is opened yet.

        Raises:
            SettingError: the URL cannot be used, or its driver is not installed.
        """
        try:
            self.engine = _make_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # Neither the URL nor what SQLAlchemy says of it is repeated: there may be a password in it.
            raise SettingError(
                f"REGRADE_DATABASE_URL cannot be used ({type(error).__name__}). Expected sqlite:///FILE or "
                "postgresql://USER:PASSWORD@HOST/DATABASE; the latter needs the `postgres` extra"
            ) from None
        file = self.engine.url.database if self.is_sqlite else None
        self._turn = _Turn(Path(f"{file}.lock")) if file and file != ":memory:" else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this store is an SQLite file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading.

        Raises:
            UnavailableError: the database is away.
        """
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a write transaction, committed at the end unless an error leaves the block.

        Raises:
            UnavailableError: the database is away.
        """
        turn = self._turn.taken() if self._turn else nullcontext()
        with (
            _translated(),
            turn,
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def now(self, connection: Connection) -> datetime:
        """Return the moment by the database's clock, which all who share it agree on; for leases and their expiry."""
        if self.is_sqlite:  # one host, one clock
            return datetime.now(UTC)
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment

    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Let nobody else who asks for the lock `name` go on before this write transaction ends.

        For what must be read and then written: an SQLite write transaction has the whole database to itself anyway.
        Those who ask for it `shared` go on together, but not beside one who asks for it alone.
        """
        if not self.is_sqlite:
            take = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
            connection.execute(select(take(func.hashtext(name))))

    def upgrade(self) -> None:
        """Make or change the tables so that they fit this release; safe when several processes start at once.

        Raises:
            UnavailableError: the database is away, or was made by a newer release.
        """
        config = _migrations()
        with self.write() as connection:
            self.lock(connection, "migrations")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise UnavailableError(
                    f"the store was made by another release than this one ({error}); use that release, or a newer one"
                ) from error

    def is_up_to_date(self) -> bool:
        """Tell whether the tables fit this release, changing nothing.

        Raises:
            UnavailableError: the database is away.
        """
        with self.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return current == ScriptDirectory.from_config(_migrations()).get_current_head()

    def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            UnavailableError: the database is away.
        """
        with self.read() as connection:
            connection.execute(select(1))

    def wipe(self) -> None:
        """Leave nothing of deleted rows in an SQLite file and its log, at the cost of rewriting the file.

        Deleted cells are zeroed anyway, but pages that were split or merged may keep copies of what moved. PostgreSQL
        reuses the room of deleted rows in its own time (`VACUUM`).

        Raises:
            UnavailableError: the database is away, or somebody reads an old state of it for too long.
        """
        if not self.is_sqlite:
            return
        with _translated(), self._turn.taken() if self._turn else nullcontext():
            raw = self.engine.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute("VACUUM")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as error:
                raise UnavailableError(f"deleted rows cannot be overwritten now ({error}); try again later") from error
            finally:
                raw.close()
        if busy:
            raise UnavailableError("deleted rows are still in the log, because somebody reads it; try again later")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class _Turn:
    """The right to write to an SQLite file, given in the order of asking to all threads and processes of this host.

    SQLite itself lets writers poll, so that one of two busy ones may wait for seconds; the kernel queues those who wait
    for a file lock, and frees it when its holder dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the turn in this block."""
        descriptor = self._descriptor()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _descriptor(self) -> int:
        """Return this thread's own open file: two threads with one would hold the lock together."""
        held: _OpenFile | None = getattr(self._files, "held", None)
        if held is None or held.process != os.getpid():
            held = self._files.held = _OpenFile(self._path)
        return held.descriptor


class _OpenFile:
    """A descriptor that is closed when its thread ends."""

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __del__(self) -> None:
        os.close(self.descriptor)


def open_store(url: str) -> Store:
    """Return the store at `url`, its tables up to date.

    Raises:
        SettingError: the URL cannot be used.
        UnavailableError: the database is away.
    """
    store = Store(url)
    store.upgrade()
    return store


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise UnavailableError(f"the store did not answer ({type(error.orig).__name__}); try again later") from error
    except SQLAlchemyError as error:
        # Only the error's name: its message repeats the statement.
        raise UnavailableError(f"the store cannot be used ({_name(error)}); try again later") from error
    except OSError as error:
        raise UnavailableError(f"the store cannot be used: {error.strerror} ({error.filename})") from error


def _name(error: SQLAlchemyError) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def _make_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ArgumentError("neither SQLite nor PostgreSQL")
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, connect_args=_POSTGRES_PATIENCE, **_OPTIONS)
    if parsed.database and parsed.database != ":memory:":
        _make_file(Path(parsed.database))
    engine = create_engine(parsed, **_OPTIONS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(file: Path) -> None:
    """Make the database's file, which only its owner may read, as SQLite makes the files beside it then."""
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise SettingError(
            f"{folder} cannot be made ({error.strerror}); set REGRADE_HOME or REGRADE_DATABASE_URL to a place that "
            "you may write"
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Let SQLAlchemy begin transactions itself, and set what every connection needs."""
    connection.isolation_level = None
    for pragma in ("busy_timeout=10000", "foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _use_wal(connection)


def _use_wal(connection: Any) -> None:
    """Switch to write-ahead logging; several processes may do so at once, and SQLite does not let them wait for it."""
    end = time.monotonic() + _WAL_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and then writes is refused whatever the timeout."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
