"""The real service for a few seconds, for `regrade bench`: on a free port, with a store that is thrown away."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RunError
from regrade.advice import Served
from regrade.environment import PROJECT, serving_environment
from regrade.loopback import Answers, send
from regrade.memory import descendants, pss_mib, words

if TYPE_CHECKING:
    from core.settings import Settings
    from regrade.measuring import Subject

_READY_S = 120.0
LOADS = ((1, 16), (64, 4))
"""Texts in a request, and clients."""

_WORKER = "_bentoml_impl.worker.service"


def serve_and_measure(subject: Subject, task: str, advance: Callable[[int], None]) -> list[Served]:
    """Serve what is measured, and return what it does, load by load; `advance` is told of every step.

    Of the settings all is kept that bears on speed; the store and the model store are new.

    Raises:
        RunError: the service does not start.
    """
    home = subject.scratch / "home"
    home.mkdir()
    copied, served = _copy_of(subject.settings, task, subject.folder, home), []
    with _serving(copied, home / "service.log") as process:
        for size, clients in LOADS:
            bodies, path = _bodies(subject.texts, size), f"/v1/tasks/{task}/predict"
            send(copied.port, path, bodies, clients=clients, seconds=subject.seconds / 4)  # to be warm
            answers = send(copied.port, path, bodies, clients=clients, seconds=subject.seconds)
            served.append(_served(answers, size, clients, process.pid))
            advance(1)
    return served


def _served(answers: Answers, size: int, clients: int, supervisor: int) -> Served:
    workers = [pss_mib(pid) for pid in descendants(supervisor) if _WORKER in words(pid)]
    taken = sorted(answers.taken) or [0.0]
    return Served(
        texts=size,
        clients=clients,
        texts_per_s=len(answers.taken) * size / answers.seconds,
        p50_ms=taken[len(taken) // 2] * 1000,
        p99_ms=taken[int(0.99 * (len(taken) - 1))] * 1000,
        failed=answers.failed,
        memory_mib=max(workers, default=None),
    )


def _copy_of(settings: Settings, task: str, version: Path, folder: Path) -> Settings:
    """Return `settings` for a home of its own in `folder`, in which `version` is live and everything else is empty."""
    from feedback.deployments import record_first_deployment
    from feedback.store import open_store

    changed = {"home": folder, "host": "127.0.0.1", "port": _free_port(), "database_url": "", "tasks": (task,)}
    copied = settings.model_copy(update=changed | {"log_level": "info"})  # which tells when a worker is ready
    models = folder / "bentoml" / "models" / task
    models.mkdir(parents=True)
    (models / version.name).symlink_to(version, target_is_directory=True)
    if settings.cache.is_dir():  # preparing for a GPU again would take longer than all that is measured
        copied.cache.symlink_to(settings.cache, target_is_directory=True)
    own = settings.own_tasks / task
    if own.is_dir():
        copied.own_tasks.mkdir()
        (copied.own_tasks / task).symlink_to(own.absolute(), target_is_directory=True)
    store = open_store(copied.store_url)
    try:
        record_first_deployment(store, task, version.name, "measuring", "cli:bench")
    finally:
        store.close()
    return copied


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bodies(texts: Sequence[str], size: int) -> list[bytes]:
    """Return JSON bodies of `size` texts each, taken in turn."""
    if size == 1:
        return [json.dumps({"text": text}).encode() for text in texts]
    count = max(1, len(texts) // size)
    parts = ([texts[(number * size + offset) % len(texts)] for offset in range(size)] for number in range(count))
    return [json.dumps({"texts": part}).encode() for part in parts]


@contextmanager
def _serving(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "bentoml", "serve", "service.app:Regrade", "--host", settings.host]
    command += ["--port", str(settings.port), "--working-dir", str(PROJECT)]
    environment = serving_environment(settings) | {"BENTOML_HOME": str(settings.home / "bentoml")}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - fixed words and checked settings
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(settings, process, log)
        yield process
    finally:
        _end(process)


def _wait(settings: Settings, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until every worker has loaded its model."""
    end = time.monotonic() + _READY_S
    while time.monotonic() < end and process.poll() is None:
        loaded = log.read_bytes().count(b"is answered by version")
        if loaded >= settings.workers and _is_ready(settings.port):
            return
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise RunError(f"the service did not start for measuring: {said[-1] if said else 'it said nothing'}")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the service to end until it does: its supervisor misses a signal while it starts a worker."""
    for _ in range(3):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()
