"""`regrade serve` with its scheduler: it is kept at work, costs the service nothing, and ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.conftest import ENVIRONMENT
from tests.support.server import free_port, is_ready, wait_until

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade

ROOT = Path(__file__).parents[2]


@contextmanager
def served(home: Path, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve `home` by the command line until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "regrade", "serve", "--task", "tiny-intent", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as output:
        environment = {**ENVIRONMENT, "REGRADE_HOME": str(home), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*command, *options], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or is_ready(url))
        assert process.poll() is None, (folder / "log").read_text()
        yield process, url
    finally:
        process.kill()
        process.wait(30)


def schedulers(service: int) -> list[psutil.Process]:
    """Return the schedulers below the process `service`."""
    found = []
    for child in psutil.Process(service).children(recursive=True):
        try:
            if child.cmdline()[-3:] == ["-m", "regrade", "scheduler"]:
                found.append(child)
        except psutil.Error:  # it has just ended
            continue
    return found


@pytest.mark.slow
def test_it_is_started_again_and_ends_with_the_service(home: Path, tmp_path: Path) -> None:
    with served(home, tmp_path) as (service, url):
        wait_until(lambda: schedulers(service.pid))
        (first,) = schedulers(service.pid)
        assert first.nice() > psutil.Process(service.pid).nice(), "answering comes before learning"
        first.kill()

        def is_another() -> bool:
            answer = httpx.post(f"{url}/v1/tasks/tiny-intent/predict", json={"text": "my parcel"}, timeout=30)
            assert answer.status_code == 200
            return any(one.pid != first.pid for one in schedulers(service.pid))

        wait_until(is_another)
        second, *_ = schedulers(service.pid)
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
        wait_until(lambda: not second.is_running())


@pytest.mark.slow
def test_it_ends_with_a_service_that_is_killed(home: Path, tmp_path: Path) -> None:
    with served(home, tmp_path) as (service, _):
        wait_until(lambda: schedulers(service.pid))
        (scheduler,) = schedulers(service.pid)
        workers = psutil.Process(service.pid).children(recursive=True)
        service.kill()
        wait_until(lambda: not scheduler.is_running())
        for worker in workers:
            if worker.is_running():
                worker.kill()


@pytest.mark.slow
def test_there_is_none_where_none_is_wanted(home: Path, tmp_path: Path) -> None:
    with served(home, tmp_path, "--no-scheduler") as (service, _):
        below = [" ".join(child.cmdline()) for child in psutil.Process(service.pid).children(recursive=True)]
        assert not any("regrade.supervisor" in line or line.endswith("regrade scheduler") for line in below), below


def test_a_run_waits_for_a_scheduler(regrade: Regrade) -> None:
    asked = regrade("retrain", "tiny-intent", "--fast", "--json")
    assert asked.returncode == 0, asked.stderr
    assert '"status": "queued"' in asked.stdout
    assert "scheduler" in asked.stderr
    listed = regrade("runs", "list", "tiny-intent")
    assert "queued" in listed.stdout
    assert regrade("retrain", "tiny-intent", "--again").returncode == 2
    assert regrade("retrain", "no-such-task").returncode == 1


def test_what_is_live_by_command(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    first, second = tiny_versions
    refused = regrade("promote", "tiny-intent", second)
    assert refused.returncode == 1
    assert "never judged" in refused.stderr
    assert regrade("promote", "tiny-intent", second, "--force").returncode == 2
    assert regrade("promote", "tiny-intent", second, "--force", "--reason", "a test").returncode == 0
    assert regrade("rollback", "tiny-intent").returncode == 0
    assert regrade("rollback", "tiny-intent").returncode == 1
    assert regrade("pin", "tiny-intent", second).returncode == 0
    pruned = regrade("models", "prune", "tiny-intent", "--keep", "1", "--dry-run", "--json")
    assert '"tiny-intent": []' in pruned.stdout, "one is live, the other pinned"
    assert regrade("unpin", "tiny-intent", second).returncode == 0
    assert f"deleted: {first}" not in regrade("models", "prune", "tiny-intent", "--keep", "1").stderr
    assert "live" in regrade("models", "list", "tiny-intent").stdout
