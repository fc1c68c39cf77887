"""`regrade bench`: real processes and a real service, on a home that stays as it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from feedback.recent import latest_texts
from feedback.store import open_store
from regrade.loopback import send
from regrade.measure import Plan, Way, load, measure
from regrade.memory import available_mib, descendants, pss_mib, words
from tests.cli.conftest import Regrade
from tests.support.server import run_server

TEXTS = ["where is my parcel", "i want a refund please, and at once", "reset the password", "parcel"] * 20


def plan(folder: Path, **changes: object) -> Plan:
    values: dict[str, object] = {"folder": str(folder), "runner": "cpu", "cache": "", "texts": "", "seconds": 0.02}
    return Plan(**(values | changes))  # type: ignore[arg-type]


def test_every_way_and_shape_is_measured(tiny_version: Path) -> None:
    ways = (Way("one"), Way(budget=128), Way("come"))
    wanted = plan(tiny_version, ways=ways, shapes=((1, 8), (4, 16)), threads=2)
    found = measure(load(wanted), wanted, TEXTS)
    assert len(found.texts_per_s) == len(found.memory_mib) == 3
    assert len(found.runs_s) == 2
    assert min(*found.texts_per_s, *found.memory_mib, *found.runs_s) > 0


def test_memory_is_read_from_linux() -> None:
    assert 5 < pss_mib() < available_mib() * 100
    assert pss_mib(2**22 + 1) == 0
    assert descendants(2**22 + 1) == []
    assert words(2**22 + 1) == []


class Every(BaseHTTPRequestHandler):
    """Answers every second request with 429."""

    protocol_version = "HTTP/1.1"
    numbers = count()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if next(self.numbers) % 2 else 429)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"okay")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of a server that refuses every second request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Every) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_good_and_refused_answers_are_counted_apart(answering: int) -> None:
    found = send(answering, "/anything", [b'{"text": "a"}', b"{}"], clients=3, seconds=0.2)
    assert found.taken
    assert abs(len(found.taken) - found.failed) <= 3
    assert found.seconds >= 0.2


def test_texts_come_from_the_task_a_file_or_the_store(regrade: Regrade, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.txt"
    nothing.write_text("\n", encoding="utf-8")
    for arguments, code, said in (
        (["--recorded"], 1, "the recorded predictions holds no texts"),
        (["--texts", nothing], 1, "holds no texts to measure on"),
        (["--texts", nothing, "--recorded"], 2, "not both"),
        (["nonsense"], 1, "no task 'nonsense'"),
        (["support-intent"], 1, "has no live model yet"),
    ):
        done = regrade("bench", *(["tiny-intent"] if str(arguments[0]).startswith("--") else []), *arguments)
        assert done.returncode == code, done.stderr
        assert said in done.stderr


@pytest.mark.slow
def test_a_task_is_measured_and_advised_on_and_nothing_is_changed(
    regrade: Regrade, home: Path, tiny_home: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), encoding="utf-8")
    before = (home / "regrade.sqlite3").read_bytes()
    done = regrade("bench", "--texts", texts, "--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["task"] == "tiny-intent"
    figures = found["figures"]
    assert figures["texts"] == len(TEXTS)
    assert [one["size"] for one in figures["budgets"]] == [128, 256, 512, 1024, 2048]
    assert figures["processes"][0]["size"] == figures["threads"][0]["size"] == 1
    assert [one["texts"] for one in figures["served"]] == [1, 64]
    assert all(one["texts_per_s"] > 0 and one["failed"] == 0 and one["memory_mib"] > 20 for one in figures["served"])
    assert {one["setting"] for one in found["advice"]} == {"REGRADE_WORKERS", "REGRADE_BATCH_TOKENS", None}
    assert (home / "regrade.sqlite3").read_bytes() == before
    assert {path.name for path in home.iterdir()} - {"regrade.sqlite3.lock"} <= {
        path.name for path in tiny_home.iterdir()
    }
    shown = regrade("bench", "tiny-intent", "--seconds", "0.1", "--no-service")
    assert "REGRADE_BATCH_TOKENS=" in shown.stdout
    assert "Tokens a second, by batch" in shown.stdout


@pytest.mark.slow
def test_recorded_texts_are_those_that_were_judged(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path, workers=1) as server, server.client() as client:
        for text in ("where is my parcel", "mail me at ann@example.com"):
            assert client.post("/v1/tasks/tiny-intent/predict", json={"text": text}).status_code == 200
    with closing(open_store(f"sqlite:///{server.home / 'regrade.sqlite3'}")) as store:
        found = latest_texts(store, "tiny-intent")
        assert len(found) == 2
        assert "where is my parcel" in found
        assert not any("ann@example.com" in text for text in found)
        assert latest_texts(store, "support-intent") == []
