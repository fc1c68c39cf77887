"""Versions swapped under load, again and again: no request fails, and none is answered by two versions at once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from core.roles import Caller
from core.settings import load_settings
from feedback.keys import create_key
from feedback.store import open_store
from service.classifier import load_classifier
from tests.conftest import ENVIRONMENT, missing
from tests.support.keys import bearer
from tests.support.server import ROOT, Server, ready_workers, run_server, wait_until
from tests.support.tiny import ENDINGS, TASK, WORDS

Scores = NDArray[np.floating]

CHANGES = 100
CLIENTS = 64
CHECKERS = 3
_BETWEEN_S = 0.7
"""Longer than the time between two looks of a worker at what is live, so that most changes are seen by each."""

ALL_TEXTS = [f"{text}{ending}" for texts in WORDS.values() for text in texts for ending in ENDINGS]
_MOST_GROWTH = 96 * 2**20
"""Of both workers, over all changes: load alone lets them grow by half of it, without any change."""


@dataclass
class Seen:
    """What the checkers saw: replies by version, and what was wrong."""

    versions: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Checker(threading.Thread):
    """Asks for many texts at once, and holds each score against what both versions say of them."""

    def __init__(self, client: httpx.Client, texts: list[str], said: dict[str, Scores], seen: Seen) -> None:
        super().__init__(daemon=True)
        self._client, self._texts, self._said, self._seen = client, texts, said, seen
        self.stopping = threading.Event()

    def run(self) -> None:
        with self._client:
            while not self.stopping.is_set():
                try:
                    self._ask()
                except httpx.TransportError as error:
                    self._seen.wrong.append(repr(error))

    def _ask(self) -> None:
        body = {"texts": self._texts, "top_k": len(WORDS)}
        reply = self._client.post(f"/v1/tasks/{TASK}/predict", json=body)
        if reply.status_code != 200:
            self._seen.wrong.append(f"{reply.status_code}: {reply.text[:200]}")
            return
        told = reply.json()
        version = told["model_version"]
        self._seen.versions[version] = self._seen.versions.get(version, 0) + 1
        scores = as_array([one["scores"] for one in told["predictions"]])
        distances = {name: np.abs(scores - said).max(axis=1) for name, said in self._said.items()}
        (other,) = self._said.keys() - {version}
        if (distances[version] >= distances[other]).any() or distances[version].max() > 0.05:
            self._seen.wrong.append(f"a reply by {version} has scores of {other}")


def as_array(scores: Sequence[Sequence[dict[str, Any]]]) -> Scores:
    """Return scores `(n_texts, n_labels)`, the labels in the order of their names."""
    return np.array([[one["score"] for one in sorted(row, key=lambda one: one["label"])] for row in scores])


@contextmanager
def load(port: int, folder: Path, key: str) -> Iterator[dict[str, Any]]:
    """Have wrk post one text after another over many connections; what it saw is there after the block."""
    bodies = folder / "bodies.jsonl"
    bodies.write_text("".join(json.dumps({"text": text}) + "\n" for text in ALL_TEXTS), encoding="utf-8")
    script = folder / "keyed.lua"
    original = (ROOT / "benchmarks" / "wrk.lua").read_text(encoding="utf-8")
    authorised = '["Content-Type"] = "application/json", ["Authorization"] = os.getenv("BENCH_KEY")'
    script.write_text(original.replace('["Content-Type"] = "application/json"', authorised), encoding="utf-8")
    environment = {**ENVIRONMENT, "BENCH_PATH": f"/v1/tasks/{TASK}/predict", "BENCH_BODIES": str(bodies)}
    process = subprocess.Popen(
        ["wrk", "-t1", f"-c{CLIENTS}", "-d600s", "--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{port}"],
        env=environment | {"BENCH_KEY": f"Bearer {key}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = {}
    try:
        yield found
    finally:
        process.send_signal(signal.SIGINT)  # it ends and tells what it saw
        output, _ = process.communicate(timeout=60)
        found |= json.loads(output.strip().splitlines()[-1])


def make_unsure(manifest: Path) -> None:
    """Let a version be far less sure of everything than it was."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(content | {"temperature": 20 * content["temperature"]}), encoding="utf-8")


def resident(server: Server) -> int:
    return sum(worker.memory_info().rss for worker in server.workers())


@pytest.mark.slow
def test_no_request_notices_a_swap(tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        missing("wrk")
    source = tmp_path / "source"
    shutil.copytree(tiny_home, source)
    store = open_store(load_settings(home=source).store_url)
    _, key = create_key(store, Caller("tests", "admin"), person="root", role="admin")
    store.close()
    first, second = tiny_versions
    make_unsure(source / "bentoml" / "models" / TASK / second / "manifest.json")
    said = {}
    for version in tiny_versions:
        classifier = load_classifier(source / "bentoml" / "models" / TASK / version)
        probabilities = classifier.classify(ALL_TEXTS).scores.probabilities
        said[version] = probabilities[:, np.argsort(classifier.label_names)]
    clear = np.flatnonzero(np.abs(said[first] - said[second]).max(axis=1) > 0.15)[:30]
    assert len(clear) == 30, "enough texts tell the versions apart"
    texts = [ALL_TEXTS[at] for at in clear]
    said = {version: scores[clear] for version, scores in said.items()}

    seen = Seen()
    with run_server(source, tmp_path / "server", workers=2) as server:

        def client() -> httpx.Client:
            return httpx.Client(base_url=server.url, timeout=30, headers=bearer(key))

        checkers = [Checker(client(), texts, said, seen) for _ in range(CHECKERS)]
        with client() as admin:
            with load(server.port, tmp_path, key) as loaded:
                for checker in checkers:
                    checker.start()
                change(admin, 2, second)
                before = resident(server)
                change(admin, CHANGES - 2, second)
                for checker in checkers:
                    checker.stopping.set()
                    checker.join()
            wait_until(lambda: set(admin.get("/readyz").json()["tasks"].values()) == {first})
        after = resident(server)
        swaps = ready_workers(server.log) - 2
    assert seen.wrong == []
    assert seen.versions.keys() == {first, second}
    assert loaded["failed"] == 0, loaded
    assert loaded["requests"] > 1000
    assert swaps >= CHANGES, "each worker swapped at least every second time"
    assert after - before < _MOST_GROWTH, f"memory grew from {before:,} to {after:,}"


def change(admin: httpx.Client, times: int, second: str) -> None:
    """Promote the second version and roll back, in turn."""
    for number in range(times):
        if number % 2 == 0:
            body = {"version": second, "force": True, "reason": "a test"}
            reply = admin.post(f"/v1/models/{TASK}/promote", json=body)
        else:
            reply = admin.post(f"/v1/models/{TASK}/rollback", json={})
        assert reply.status_code == 200, reply.text
        assert reply.json()["changed"]
        time.sleep(_BETWEEN_S)
