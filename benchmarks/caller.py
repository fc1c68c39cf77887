"""The whole product over HTTP alone: `regrade serve` with its scheduler, and a caller who predicts and answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import ROOT

POLL_S = 0.1
_START_S = 180.0
_AT_ONCE = 50
"""Items in one claim."""

OPEN = {"queued", "running"}
"""Statuses of a run that is not over."""


@contextmanager
def whole_service(home: Path, tasks: Sequence[str], workers: int = 2) -> Iterator[Caller]:
    """Run `regrade serve` on `home`, on a free loopback port, until the block ends."""
    port = _free_port()
    environment = {**os.environ, "REGRADE_HOME": str(home), "REGRADE_WORKERS": str(workers), "REGRADE_PORT": str(port)}
    environment |= {"BENTOML_HOME": str(home / "bentoml"), "REGRADE_TASKS": ",".join(tasks)}
    with (home / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "regrade", "serve"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                _wait_until_ready(client, process)
                yield Caller(client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


class Caller:
    """A program that uses the service, and a person who answers in its queue."""

    def __init__(self, client: httpx.Client) -> None:
        """Call by `client`."""
        self._client = client

    def get(self, path: str) -> dict[str, Any]:
        """Return what is at `path`."""
        reply = self._client.get(path)
        reply.raise_for_status()
        return dict(reply.json())

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post `body` to `path` and return the reply."""
        reply = self._client.post(path, json=body)
        reply.raise_for_status()
        return dict(reply.json())

    def predict(self, task: str, texts: Sequence[str], top_k: int = 3) -> tuple[str, list[dict[str, Any]]]:
        """Return the version that answered, and a prediction a text; up to 256 texts."""
        reply = self.post(f"/v1/tasks/{task}/predict", {"texts": list(texts), "top_k": top_k})
        return str(reply["model_version"]), list(reply["predictions"])

    def bring(self, task: str, texts: Sequence[str]) -> list[str]:
        """Bring texts to the queue, before all else in it; return their items."""
        reply = self.post(f"/v1/queue/{task}/items", {"texts": [{"text": text} for text in texts], "priority": 10})
        return [str(one["item_id"]) for one in reply["items"]]

    def answer(self, task: str, labels: Mapping[str, str]) -> None:
        """Answer the items of `labels`, which gives each its label; whatever else is claimed on the way is kept.

        Raises:
            RuntimeError: the queue holds no more items, and not all of them have come.
        """
        left = dict(labels)
        while left:
            claimed = self.post(f"/v1/queue/{task}/claim", {"count": min(_AT_ONCE, len(left))})["items"]
            if not claimed:
                raise RuntimeError(f"{len(left)} items were never given out")
            for item in claimed:
                label = left.pop(item["item_id"], None)
                if label is not None:
                    said = {"lease_token": item["lease_token"], "label": label}
                    self.post(f"/v1/queue/items/{item['item_id']}/answer", said)

    def retrain(self, task: str, mode: str = "fast") -> str:
        """Ask for a run and return its id."""
        return str(self.post(f"/v1/models/{task}/retrain", {"mode": mode})["run_id"])

    def wait_for_run(self, run_id: str, limit_s: float = 600) -> dict[str, Any]:
        """Return a run when it is over.

        Raises:
            RuntimeError: it is not, within `limit_s`.
        """
        end = time.monotonic() + limit_s
        while (run := self.get(f"/v1/runs/{run_id}"))["status"] in OPEN:
            if time.monotonic() > end:
                raise RuntimeError(f"run {run_id} is still {run['status']} after {limit_s:g} s")
            time.sleep(POLL_S)
        return run

    def wait_for_version(self, task: str, version: str, text: str, limit_s: float = 30) -> None:
        """Return when `version` has answered several times in a row, so that every worker has it.

        Raises:
            RuntimeError: it has not, within `limit_s`.
        """
        end, seen = time.monotonic() + limit_s, 0
        while seen < 4:
            seen = seen + 1 if self.predict(task, [text])[0] == version else 0
            if time.monotonic() > end:
                raise RuntimeError(f"{version} does not answer after {limit_s:g} s")
            time.sleep(0 if seen else POLL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode} before it was ready; see its serve.log")
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"the service was not ready within {_START_S:g} s")
