"""The database behind everything that is remembered: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from core.errors import SettingError, UnavailableError

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 7_237_342  # any number, the same in every process: PostgreSQL advisory lock for migrations


class Store:
    """A database engine with one way to read and one way to write."""

    def __init__(self, url: str) -> None:
        """Prepare to connect to `url` (SQLAlchemy's form); nothing is opened yet.

        Raises:
            SettingError: the URL cannot be used, or its driver is not installed.
        """
        try:
            self.engine = _make_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SettingError(
                f"REGRADE_DATABASE_URL cannot be used: {type(error).__name__}: {error}. Expected sqlite:///FILE or "
                "postgresql://USER:PASSWORD@HOST/DATABASE; the latter needs the `postgres` extra"
            ) from error

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
        with _translated(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def upgrade(self) -> None:
        """Make or change the tables so that they fit this release; safe when several processes start at once.

        Raises:
            UnavailableError: the database is away, or was made by a newer release.
        """
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.write() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_store(url: str) -> Store:
    """Return the store at `url`, its tables up to date.

    Raises:
        SettingError: the URL cannot be used.
        UnavailableError: the database is away.
    """
    store = Store(url)
    store.upgrade()
    return store


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise UnavailableError(f"the store did not answer ({type(error.orig).__name__}); try again later") from error
    except SQLAlchemyError as error:
        raise UnavailableError(f"the store cannot be used: {error}") from error


def _make_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Let SQLAlchemy begin transactions itself, and set what every connection needs."""
    connection.isolation_level = None
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and then writes is refused whatever the timeout."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
