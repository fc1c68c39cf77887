"""A real PostgreSQL for tests: the one a URL names, or one started from installed programs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import free_port

URL_VARIABLE = "REGRADE_TEST_POSTGRES_URL"


def _programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, which Debian keeps off the PATH, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return versions[-1] if versions else None


def is_here() -> bool:
    """Tell whether there is a PostgreSQL to test with."""
    return URL_VARIABLE in os.environ or _programs() is not None


@dataclass(frozen=True)
class Postgres:
    """A server of our own: where it answers, and the words that control it."""

    url: str
    folder: Path
    user: str | None
    control: tuple[str, ...]
    options: str

    def start(self) -> None:
        """Start it and wait until it answers."""
        _run(self.folder, self.user, *self.control, "-o", self.options, "start")

    def stop(self) -> None:
        """Stop it at once, as if it had crashed."""
        _run(self.folder, self.user, *self.control, "-m", "immediate", "stop")


@contextmanager
def running_postgres() -> Iterator[str]:
    """Give the URL of a database; a server of our own lives in a temporary folder until the block ends."""
    if URL_VARIABLE in os.environ:
        yield os.environ[URL_VARIABLE]
        return
    with own_postgres("-c fsync=off") as server:
        yield server.url


def has_programs() -> bool:
    """Tell whether a server of our own can be started here."""
    return _programs() is not None


@contextmanager
def own_postgres(options: str = "") -> Iterator[Postgres]:
    """Run a server of our own in a temporary folder until the block ends; it may be stopped in between."""
    programs = _programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="regrade-postgres-"))
    user = _ordinary_user()
    if user is not None:  # initdb refuses root
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    port = free_port()
    initdb = (str(programs / "initdb"), "-D", str(folder / "data"))
    _run(folder, user, *initdb, "-U", "regrade", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} {options}"
    control = (str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log"))
    server = Postgres(f"postgresql+psycopg://regrade@127.0.0.1:{port}/postgres", folder, user, control, options)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # stopped already
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, user: str | None, *command: str) -> None:
    subprocess.run(command, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _ordinary_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
