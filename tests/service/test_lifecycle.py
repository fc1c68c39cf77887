"""Hot swap, graceful end, and callers who leave: a real service under load."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn

from core.settings import load_settings
from feedback.deployments import record_deployment
from feedback.store import open_store
from service.artifact import SCOPE, read_manifest, sha256_of, write_manifest
from service.exchange import Incoming, Receive, Scope, Send, json_reply
from tests.support.clients import Clients
from tests.support.server import ROOT, Server, free_port, is_ready, run_server, wait_until

PREDICT = "/v1/tasks/tiny-intent/predict"


class Callers(Clients):
    """A few clients that ask all the time and remember what they got."""

    def __init__(self, server: Server) -> None:
        super().__init__(4)
        self.replies: list[tuple[float, int, str, bool]] = []
        self.errors: list[Exception] = []
        self._server = server

    def ask(self, number: int) -> None:  # noqa: ARG002 - all ask the same
        with self._server.client() as client:
            while not self.stopped.is_set():
                try:
                    reply = client.post(PREDICT, json={"texts": ["where is my parcel", "refund"]})
                except httpx.TransportError as error:
                    self.errors.append(error)
                    return
                version = reply.json().get("model_version", "")
                closing = reply.headers.get("connection") == "close"
                self.replies.append((time.monotonic(), reply.status_code, version, closing))
                if closing:
                    return


def test_a_new_version_goes_live_under_load_and_none_fails(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    first, second = tiny_versions
    with run_server(tiny_home, tmp_path) as server:
        store = open_store(load_settings(home=server.home).store_url)
        swaps: list[float] = []
        with Callers(server) as callers:
            for version in (second, first, second):
                record_deployment(store, "tiny-intent", version, "test", "tests")
                swaps.append(time.monotonic())
                time.sleep(3)
        assert callers.errors == []
        assert {status for _, status, _, _ in callers.replies} == {200}
        settled = [version for at, _, version, _ in callers.replies if at > swaps[-1] + 2.5]
        assert set(settled) == {second}
        assert {version for _, _, version, _ in callers.replies} == {first, second}
        with server.client() as client:
            assert client.get("/readyz").json()["tasks"] == {"tiny-intent": second}
            assert f'version="{second}"}} 1.0' in client.get("/metrics").text


def test_a_version_that_cannot_be_loaded_changes_nothing(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    first, second = tiny_versions
    with run_server(tiny_home, tmp_path, workers=1) as server:
        graph = server.home / "bentoml" / "models" / "tiny-intent" / second / "model.int8.onnx"
        graph.write_bytes(graph.read_bytes()[:-100])
        store = open_store(load_settings(home=server.home).store_url)
        record_deployment(store, "tiny-intent", second, "test", "tests")
        wait_until(lambda: f"version {second} of tiny-intent cannot" in server.log.read_text())
        assert "has changed since it was made" in server.log.read_text()
        with server.client() as client:
            reply = client.post(PREDICT, json={"text": "parcel"})
            assert (reply.status_code, reply.json()["model_version"]) == (200, first)


def test_a_version_that_comes_later_is_served_then(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    """The deployment may be seen before the version is in this host's store."""
    first, second = tiny_versions
    with run_server(tiny_home, tmp_path, workers=1) as server, server.client() as client:
        folder = server.home / "bentoml" / "models" / "tiny-intent" / second
        folder.rename(tmp_path / "elsewhere")
        store = open_store(load_settings(home=server.home).store_url)
        record_deployment(store, "tiny-intent", second, "test", "tests")
        wait_until(lambda: "it is served once it is there" in server.log.read_text())
        assert client.post(PREDICT, json={"text": "parcel"}).json()["model_version"] == first
        (tmp_path / "elsewhere").rename(folder)
        wait_until(lambda: client.post(PREDICT, json={"text": "parcel"}).json()["model_version"] == second, 10)
        assert server.log.read_text().count("it is served once it is there") == 1


def test_whatever_a_version_raises_later_ones_are_noticed(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    """A manifest that fits its files, a graph that does not fit its statistics: only running it shows."""
    first, second = tiny_versions
    with run_server(tiny_home, tmp_path, workers=1) as server, server.client() as client:
        store = open_store(load_settings(home=server.home).store_url)
        models = server.home / "bentoml" / "models" / "tiny-intent"
        broken = models / "broken"
        shutil.copytree(models / second, broken)
        np.savez(broken / SCOPE, whiten=np.ones((3, 2)), centroids=np.ones((1, 2)), curve=np.ones(3))
        manifest = read_manifest(broken)
        files = manifest.files | {SCOPE: sha256_of(broken / SCOPE)}
        write_manifest(broken, manifest.model_copy(update={"version": "broken", "files": files}))
        record_deployment(store, "tiny-intent", "broken", "test", "tests")
        wait_until(lambda: "version broken of tiny-intent cannot" in server.log.read_text())
        assert client.post(PREDICT, json={"text": "parcel"}).json()["model_version"] == first
        record_deployment(store, "tiny-intent", second, "test", "tests")
        wait_until(lambda: client.post(PREDICT, json={"text": "parcel"}).json()["model_version"] == second, 10)


def test_sigterm_drains_first_and_every_request_gets_its_answer(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path, REGRADE_DRAIN_SECONDS="2") as server:
        with Callers(server) as callers:
            wait_until(lambda: len(callers.replies) > 20)
            with server.client() as client:
                client.get("/readyz")
                server.process.send_signal(signal.SIGTERM)
                wait_until(lambda: not is_ready(server.url), 10)
            server.process.wait(60)
        assert server.process.returncode == 0
        assert callers.errors == []
        assert {status for _, status, _, _ in callers.replies} == {200}
        assert "draining" in server.log.read_text()


def test_a_worker_that_is_killed_takes_nobody_with_it(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path) as server:
        server.workers()[0].send_signal(signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 1, 10)

        def answers() -> bool:
            try:
                with server.client() as client:
                    return bool(client.post(PREDICT, json={"text": "parcel"}).status_code == 200)
            except httpx.TransportError:
                return False

        wait_until(answers, 30)
        wait_until(lambda: len(server.workers()) == 2, 60)


def test_without_a_live_model_the_service_says_so(tiny_home: Path, tmp_path: Path) -> None:
    """The starters are served but not trained here."""
    tasks = "tiny-intent,support-intent"
    with run_server(tiny_home, tmp_path, workers=1, REGRADE_TASKS=tasks) as server, server.client() as client:
        reply = client.post("/v1/tasks/support-intent/predict", json={"text": "hello"})
        assert reply.status_code == 503
        assert "regrade train support-intent" in reply.json()["detail"]
        assert int(reply.headers["retry-after"]) > 0
        assert client.post(PREDICT, json={"text": "parcel"}).status_code == 200


def test_uvicorn_tells_that_a_caller_has_gone() -> None:
    """`Incoming.is_gone` stands on how uvicorn keeps it; this fails when that changes."""
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        incoming = Incoming(scope, receive, {})
        await incoming.body()
        seen.append(incoming.is_gone())
        for _ in range(200):
            await asyncio.sleep(0.02)
            if incoming.is_gone():
                seen.append(True)
                return
        await json_reply({}).send(send, incoming)

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"http://127.0.0.1:{port}/", timeout=0.2)
    wait_until(lambda: len(seen) == 2, 10)
    server.should_exit = True
    thread.join()
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"REGRADE_PORT": "abc"}, "REGRADE_PORT is 'abc'"),
        ({"REGRADE_TASKS": "nope"}, "REGRADE_TASKS names nope"),
        ({"REGRADE_HOST": "0.0.0.0"}, "REGRADE_HOST is '0.0.0.0'"),
        ({"REGRADE_RUNNER": "cuda"}, "REGRADE_RUNNER is 'cuda'"),
        ({"REGRADE_DATABASE_URL": "mysql+nothing://x"}, "REGRADE_DATABASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(settings: dict[str, str], word: str, tmp_path: Path) -> None:
    code = "from service.app import Regrade; Regrade.to_asgi()"
    environment = {**os.environ, "REGRADE_HOME": str(tmp_path), **settings}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert word in run.stderr
