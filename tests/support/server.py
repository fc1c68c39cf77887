"""A real service in its own process group, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A running service: where it answers, its home, and its supervisor process."""

    url: str
    port: int
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, address: str | None = None) -> httpx.Client:
        """Return a client; each has its own connection, so that several reach several workers.

        `address` is the loopback address to come from, for what is counted by address.
        """
        transport = httpx.HTTPTransport(local_address=address) if address else None
        return httpx.Client(base_url=self.url, timeout=30, transport=transport)

    def workers(self) -> list[psutil.Process]:
        """Return the serving processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "_bentoml_impl.worker.service" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: object, limit_s: float = 60) -> None:
    """Wait until `condition()` is true; fail after `limit_s`."""
    assert callable(condition)
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    """Tell whether the service says that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def run_server(source: Path, folder: Path, workers: int = 2, **settings: str) -> Iterator[Server]:
    """Serve a copy of the home `source` from `folder` until the block ends."""
    shutil.copytree(source, folder / "home")
    with serve_home(folder / "home", folder / "server.log", workers, free_port(), **settings) as server:
        yield server


@contextmanager
def serve_home(home: Path, log: Path, workers: int, port: int, **settings: str) -> Iterator[Server]:
    """Serve `home` until the block ends, or until it is killed; `log` is added to."""
    environment = {
        **os.environ,
        "REGRADE_HOME": str(home),
        "BENTOML_HOME": str(home / "bentoml"),
        "REGRADE_PORT": str(port),
        "REGRADE_WORKERS": str(workers),
        "REGRADE_TASKS": "tiny-intent",
        **settings,
    }
    before = ready_workers(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bentoml", "serve", "service.app:Regrade"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    server = Server(url, port, home, process, log)
    try:
        wait_until(lambda: process.poll() is not None or (is_ready(url) and ready_workers(log) >= before + workers))
        assert process.poll() is None, log.read_text()[-4000:]
        yield server
    finally:
        end_process(process)


def kill_everything(server: Server) -> None:
    """End the service as a loss of power would, supervisor and workers, without a word to any of them."""
    supervisor = psutil.Process(server.process.pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.process.wait(10)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask the service to end until it does: its supervisor misses a signal while it replaces a worker."""
    for _ in range(6):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return
    process.kill()
    raise AssertionError("the service did not end")


def ready_workers(log: Path) -> int:
    """Return how many workers have said in the log that they loaded their model."""
    return log.read_text().count("is answered by version") if log.exists() else 0
