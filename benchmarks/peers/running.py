"""A peer from its start to its end, with nothing of it left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import ROOT
from benchmarks.peers.environments import PeerError
from benchmarks.peers.registry import ENVIRONMENT, TASK, Peer
from benchmarks.versions import set_triage
from tasks.catalogue import STARTERS

START_LIMIT_S = 180.0
STOP_LIMIT_S = 20.0


@dataclass(frozen=True)
class Place:
    """What peers are given: a scratch `folder`, the model's `version` folder and what holds it, and how many cores."""

    folder: Path
    version: Path
    hugging_face: Path
    """The folder of `hugging_face.py`."""
    model_store: Path
    """BentoML's home, from which our service takes its live versions."""
    cores: int


@dataclass(frozen=True)
class Standing:
    """A peer that answers: its port, its first process, and the seconds from its start to its first answer."""

    peer: Peer
    port: int
    pid: int
    start_s: float

    def ask(self, texts: Sequence[str]) -> list[str]:
        """Return the labels of `texts`.

        Raises:
            PeerError: it answers something else.
        """
        try:
            return self.peer.protocol.labels(_post(self.port, self.peer.path, self.peer.protocol.body(texts)))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise PeerError(f"answers {len(texts)} texts with {error!r}") from error

    def memory_mib(self) -> list[float]:
        """Return the memory of each of its processes in MiB, the largest first; what they share is divided (PSS)."""
        sizes = []
        for process in processes_of(self.pid):
            with suppress(psutil.Error):
                sizes.append(process.memory_full_info().pss / 2**20)
        return sorted(sizes, reverse=True)


def processes_of(pid: int) -> list[psutil.Process]:
    """Return the process and its living descendants."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def standing(peer: Peer, python: str, place: Place) -> Iterator[Standing]:
    """Start `peer`, give it once it answers, and end it with all its processes.

    Raises:
        PeerError: it ended or did not answer in time; the message holds the last lines of its log.
    """
    folder, ports = place.folder / peer.name.replace(" ", "-"), _free_ports(3)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill = _filler(folder, ports, place)
    if peer.triage:
        own = folder / "home" / "tasks" / TASK
        shutil.copytree(STARTERS / TASK, own)
        set_triage(own, peer.triage)
    for name, content in peer.files.items():
        (folder / name).write_text(fill(content), encoding="utf-8")
    begun = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [python, *fill(peer.command).split()],
            cwd=folder,
            env=_environment(peer, python, fill),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_answer(peer, ports[0], process, folder / "log.txt")
        yield Standing(peer, ports[0], process.pid, time.monotonic() - begun)
    finally:
        _end(process)


def _filler(folder: Path, ports: Sequence[int], place: Place) -> Callable[[str], str]:
    """Return what fills in the words of the registry."""
    values = {
        "{work}": folder,
        "{port}": ports[0],
        "{second_port}": ports[1],
        "{third_port}": ports[2],
        "{cores}": place.cores,
        "{version}": place.version,
        "{hugging_face}": place.hugging_face,
        "{model_store}": place.model_store,
    }

    def fill(words: str) -> str:
        for name, value in values.items():
            words = words.replace(name, str(value))
        return words

    return fill


def _environment(peer: Peer, python: str, fill: Callable[[str], str]) -> dict[str, str]:
    """Return the environment of a peer: none of the settings that this process has, and a thread a process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("REGRADE_", "BENTOML_"))}
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT)} | {
        name: fill(value) for name, value in {**ENVIRONMENT, **peer.environment}.items()
    }


def _wait_for_answer(peer: Peer, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end, body = time.monotonic() + START_LIMIT_S, peer.protocol.body(["how do I get my money back"])
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, ValueError):
            _post(port, peer.path, body)
            return
        time.sleep(0.05)
    what = f"not within {START_LIMIT_S:g} s" if process.poll() is None else f"ended with {process.returncode}"
    raise PeerError(f"did not start: {what}: {log.read_text(encoding='utf-8', errors='replace')[-800:]}")


def _post(port: int, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the peer to end, and end what is left: some peers leave workers behind."""
    everyone = processes_of(process.pid)
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    for one in everyone:
        with suppress(psutil.Error):
            one.kill()
    process.wait()
    psutil.wait_procs(everyone, timeout=5)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
