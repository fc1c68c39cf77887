"""What was promised survives: killed workers, a killed service, and a database that goes away and comes back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from core.settings import load_settings
from feedback.deployments import record_first_deployment
from feedback.spool import Spool
from feedback.store import open_store
from tests.conftest import missing
from tests.support import postgres
from tests.support.clients import Clients
from tests.support.data import unseen_texts
from tests.support.memory import EVERYTHING, counted, home_that_asks, item_ids, linked, store_of
from tests.support.server import Server, free_port, kill_everything, run_server, serve_home, wait_until

PREDICT = "/v1/tasks/tiny-intent/predict"
WORDS = "parcel refund password money late lost new old my your where when what link back please".split()  # noqa: SIM905


def random_texts(count: int) -> list[str]:
    chance = random.Random(7)
    return [f"{' '.join(chance.choices(WORDS, k=6))} {number}" for number in range(count)]


class Posters(Clients):
    """Clients that post texts all the time, again and again, and remember every reply; connections may break."""

    def __init__(self, port: int, texts: list[str], clients: int = 4) -> None:
        super().__init__(clients)
        self.replied: dict[str, str | None] = {}
        self.statuses: set[int] = set()
        self.broken = 0
        self._url = f"http://127.0.0.1:{port}"
        self._texts = texts
        self._step = clients

    def _turns(self, first: int) -> Iterator[str]:
        while True:
            for position in range(first, len(self._texts), self._step):
                if self.stopped.is_set():
                    return
                yield self._texts[position]

    def ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            for text in self._turns(number):
                try:
                    reply = client.post(PREDICT, json={"text": text})
                except httpx.TransportError:
                    self.broken += 1
                    time.sleep(0.05)
                    continue
                self.statuses.add(reply.status_code)
                for said in reply.json().get("predictions", []):
                    self.replied[said["id"]] = (said["review"] or {}).get("item_id")


def kill_one(server: Server) -> None:
    """Kill a worker at random."""
    with suppress(psutil.NoSuchProcess, IndexError):
        random.choice(server.workers()).kill()


def check_promises(home: Path, replied: dict[str, str | None]) -> None:
    """Check that every item that a reply named is there, with its prediction and text."""
    store = store_of(home)
    found = linked(store)
    promised = {identifier: item for identifier, item in replied.items() if item is not None}
    assert promised
    assert promised.items() <= found.items()
    assert counted(store) == len(found)
    store.close()


def test_whoever_is_killed_what_a_reply_promised_is_there(tiny_home: Path, tmp_path: Path) -> None:
    home = home_that_asks(tiny_home, tmp_path, EVERYTHING)
    with run_server(home, tmp_path) as server, Posters(server.port, random_texts(400)) as posters:
        for _ in range(2):
            enough = len(posters.replied) + random.randint(20, 60)
            wait_until(lambda enough=enough: len(posters.replied) >= enough)
            kill_one(server)
        wait_until(lambda: len(posters.replied) >= 150)
        kill_everything(server)
    assert posters.statuses == {200}
    assert None not in posters.replied.values()
    check_promises(server.home, posters.replied)


@pytest.mark.slow
def test_fifty_kills_break_no_promise(tiny_home: Path, tmp_path: Path) -> None:
    """Five workers and then the whole service, ten times over."""
    home, log, port = home_that_asks(tiny_home, tmp_path, "audit = 0.3"), tmp_path / "server.log", free_port()
    with Posters(port, unseen_texts(2000, "massive/en-validation.jsonl"), clients=6) as posters:
        for _ in range(10):
            with serve_home(home, log, 4, port) as server:
                for _ in range(4):
                    time.sleep(random.uniform(0.1, 1.5))
                    kill_one(server)
                time.sleep(random.uniform(0.1, 1.5))
                kill_everything(server)
    assert posters.statuses == {200}
    assert len(posters.replied) > 2000
    check_promises(home, posters.replied)


@pytest.mark.parametrize("seconds", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_while_the_database_is_down_no_prediction_fails_and_after_it_everything_is_there_once(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path, seconds: float
) -> None:
    if not postgres.has_programs():
        missing("PostgreSQL")
    home = home_that_asks(tiny_home, tmp_path, "audit = 0.5")
    with postgres.own_postgres() as database, closing(open_store(database.url)) as store:
        record_first_deployment(store, "tiny-intent", tiny_versions[0], "first version", "tests")
        with run_server(home, tmp_path, REGRADE_DATABASE_URL=database.url) as server:
            with Posters(server.port, random_texts(150)) as posters:
                wait_until(lambda: len(posters.replied) >= 100)
                database.stop()
                time.sleep(seconds)
                enough = len(posters.replied) + 50
                wait_until(lambda: len(posters.replied) >= enough)
                database.start()
                more = len(posters.replied) + 100
                wait_until(lambda: len(posters.replied) >= more)
            assert posters.broken == 0
            assert posters.statuses == {200}
            spool = Spool(load_settings(home=server.home).home / "spool.sqlite3")
            wait_until(lambda: spool.count() == 0, 30)
            wait_until(lambda: counted(store) == len(posters.replied), 10)
            with server.client() as client:
                assert "regrade_records_lost_total 0.0" in client.get("/metrics").text
        found = linked(store)
        assert found.keys() == posters.replied.keys()
        promised = {item for item in posters.replied.values() if item is not None}
        assert promised <= item_ids(store)
        assert {identifier for identifier, item in found.items() if item is None} == {
            identifier for identifier, item in posters.replied.items() if item is None
        }
        store.close()


def test_what_waited_in_the_spool_of_a_killed_service_is_forwarded_by_the_next(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    if not postgres.has_programs():
        missing("PostgreSQL")
    home, log = home_that_asks(tiny_home, tmp_path, EVERYTHING), tmp_path / "server.log"
    with postgres.own_postgres() as database, closing(open_store(database.url)) as store:
        record_first_deployment(store, "tiny-intent", tiny_versions[0], "first version", "tests")
        with serve_home(home, log, 1, free_port(), REGRADE_DATABASE_URL=database.url) as server:
            database.stop()
            with server.client() as client:
                said = client.post(PREDICT, json={"texts": random_texts(5)}).json()["predictions"]
            kill_everything(server)
        database.start()
        with serve_home(home, log, 1, free_port(), REGRADE_DATABASE_URL=database.url):
            wait_until(lambda: counted(store) == 5, 20)
        assert linked(store) == {one["id"]: one["review"]["item_id"] for one in said}
        store.close()
