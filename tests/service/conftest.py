"""One real service for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from feedback.store import Store, open_store
from tests.conftest import missing
from tests.support import postgres
from tests.support.desk import Desk, run_desk
from tests.support.server import Server, run_server


@pytest.fixture(scope="module")
def server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tiny_home, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, without a service."""
    with closing(open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A service with people of every role, on each database."""
    folder = tmp_path_factory.mktemp("desk")
    if request.param == "sqlite":
        with run_desk(tiny_home, folder) as running:
            yield running
        return
    if not postgres.has_programs():
        missing("PostgreSQL")
    with postgres.own_postgres("-c fsync=off") as database, run_desk(tiny_home, folder, database.url) as running:
        yield running
