"""A text is erased while the service runs: afterwards no byte under its home holds it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from feedback.recording import PREDICTION
from feedback.spool import Spool
from feedback.store import open_store
from tasks.declaration import read_task
from tests.conftest import ENVIRONMENT
from tests.support.memory import EVERYTHING, home_that_asks
from tests.support.scene import Scene
from tests.support.server import ROOT, Server, run_server, wait_until

SECRET = "Wilhelmina Oglethorpe of Elmshorn waits for her parcel"
SUBJECT = "customer-4711-wilma"
TRACES = (b"Oglethorpe", b"Wilhelmina", b"Elmshorn", b"customer-4711")


@pytest.fixture(scope="module")
def server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("erase")
    source = home_that_asks(tiny_home, folder, EVERYTHING, "hide_suggestions = 0.0\ncheck_rate = 0.0")
    with run_server(source, folder) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def leave_traces(client: httpx.Client, server: Server) -> None:
    """Send the text, let people write about it, and let training files and the spool hold it."""
    said = {"text": SECRET, "subject": SUBJECT, "metadata": {"name": "Oglethorpe"}}
    predicted = client.post("/v1/tasks/tiny-intent/predict", json=said, headers={"Idempotency-Key": "p"}).json()
    prediction = predicted["predictions"][0]
    report = {"prediction_id": prediction["id"], "label": "refund", "comment": "Oglethorpe again", "source": SUBJECT}
    assert client.post("/v1/feedback", json=report).status_code == 201
    claimed = client.post("/v1/queue/tiny-intent/claim", json={"count": 50}, headers={"Idempotency-Key": "c"}).json()
    (item,) = [one for one in claimed["items"] if one["text"] == SECRET]
    answer = {
        "lease_token": item["lease_token"],
        "label": "parcel",
        "comment": "Elmshorn",
        "proposed_label": "Elmshorn",
    }
    assert client.post(f"/v1/queue/items/{item['item_id']}/answer", json=answer).status_code == 201
    copy = {**said, "text": SECRET.upper()}
    assert client.post("/v1/tasks/tiny-intent/predict", json=copy).status_code == 200
    reports = server.home / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "tiny-intent-x.html").write_text(f"<td>{SECRET}</td><td>{SECRET.upper()}</td>", encoding="utf-8")
    with (server.home / "tasks" / "tiny-intent" / "train.csv").open("a", encoding="utf-8") as file:
        file.write(f'"{SECRET}",parcel\n')


def files_that_tell(home: Path) -> list[str]:
    files = [path for path in home.rglob("*") if path.is_file() and "bentoml" not in path.relative_to(home).parts[:1]]
    versions = [path for path in (home / "bentoml").rglob("*") if path.is_file()]
    return [
        str(path.relative_to(home))
        for path in (*files, *versions)
        if any(trace.lower() in path.read_bytes().lower() for trace in TRACES)
    ]


def erase_by_command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(home)}
    command = [sys.executable, "-m", "regrade", "erase", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=home)


def recorded(server: Server) -> bool:
    return any(b"Oglethorpe" in file.read_bytes() for file in server.home.glob("regrade.sqlite3*"))


def test_by_command_and_by_request_nothing_is_left(server: Server, client: httpx.Client) -> None:
    leave_traces(client, server)
    wait_until(lambda: recorded(server))
    done = erase_by_command(server.home, "--text", f" {SECRET} ", "--json")
    assert done.returncode == 1, done.stderr  # own data still has it
    facts = json.loads(done.stdout)
    assert [(left["task"], left["file"]) for left in facts["own_data"]] == [
        ("tiny-intent", "tasks/tiny-intent/train.csv")
    ]
    versions = (server.home / "versions.txt").read_text(encoding="utf-8").split()
    assert set(facts["models"]) == {f"tiny-intent:{version}" for version in versions}
    assert "train.csv" in str(files_that_tell(server.home))
    done = erase_by_command(server.home, "--text", SECRET, "--own-data")
    assert done.returncode == 0, done.stderr
    assert files_that_tell(server.home) == []
    assert SECRET.split(maxsplit=1)[0] not in server.log.read_text(encoding="utf-8")

    leave_traces(client, server)
    wait_until(lambda: recorded(server))
    key = {"Authorization": f"Bearer {(server.home / 'admin.key').read_text(encoding='utf-8').strip()}"}
    assert client.post("/v1/erase", json={"subject": SUBJECT}).status_code == 401
    reply = client.post("/v1/erase", json={"subject": SUBJECT, "own_data": True}, headers=key)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert body["counts"]["items"] >= 1
    assert body["own_data"] == []
    assert files_that_tell(server.home) == []
    assert client.post("/v1/tasks/tiny-intent/predict", json={"text": "a new text"}).status_code == 200


def test_what_cannot_be_erased_is_explained(client: httpx.Client, server: Server) -> None:
    key = {"Authorization": f"Bearer {(server.home / 'admin.key').read_text(encoding='utf-8').strip()}"}
    for body in ({}, {"text": "a", "subject": "b"}, {"text": ""}, {"subject": "a\u0000b"}, {"texts": ["a"]}):
        reply = client.post("/v1/erase", json=body, headers=key)
        assert reply.status_code == 422, reply.text
    assert erase_by_command(server.home).returncode == 2
    assert erase_by_command(server.home, "--subject", " ").returncode == 1


def test_the_spool_of_a_service_that_is_stopped(tiny_home: Path, tmp_path: Path) -> None:
    home = home_that_asks(tiny_home, tmp_path, EVERYTHING)
    store = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    waiting = Scene(store, read_task(home / "tasks" / "tiny-intent")).recording(SECRET, SUBJECT)
    spool = Spool(home / "spool.sqlite3")
    spool.add(PREDICTION, {waiting.id: waiting})
    spool.close()
    store.close()
    assert files_that_tell(home)
    assert erase_by_command(home, "--subject", SUBJECT).returncode == 0
    assert files_that_tell(home) == []
