"""What the benchmarks share: real texts, servers to start, load to send, and how results are kept."""

from __future__ import annotations

import csv
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def data_folder() -> Path:
    """Return the folder of public development data, or leave with one clear line when it is missing."""
    folder = Path(os.environ.get("REGRADE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "banking77" / "test.csv").exists():
        sys.exit(f"skipped: this benchmark needs the public texts in {folder}; set REGRADE_DATA to their folder")
    return folder


def real_texts() -> list[str]:
    """Return BANKING77's test texts: what bank customers really wrote, with their lengths."""
    with (data_folder() / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@dataclass(frozen=True)
class Load:
    """What one run of the load generator saw, and what it cost on both sides."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    failed: int
    texts_per_s: float
    server_cpu_s_per_1000: float
    client_cpu_share: float
    """Of one core."""


def send_load(port: int, path: str, bodies: Path, *, clients: int, seconds: float, texts: int, server: int) -> Load:
    """Run wrk against `path` with the bodies in a file, one a line, each of `texts` texts; `server` is a process id."""
    script = str(ROOT / "benchmarks" / "wrk.lua")
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s", "-s", script]
    environment = {**os.environ, "BENCH_PATH": path, "BENCH_BODIES": str(bodies)}
    cpu, client = cpu_seconds(server), _children_cpu()
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"], env=environment, check=True, capture_output=True, text=True
    ).stdout
    seen: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    answered = max(1, seen["requests"] - seen["failed"]) * texts
    return Load(
        **seen,
        texts_per_s=answered / seen["seconds"],
        server_cpu_s_per_1000=(cpu_seconds(server) - cpu) / answered * 1000,
        client_cpu_share=(_children_cpu() - client) / seen["seconds"],
    )


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process and its living descendants have used."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


@contextmanager
def serving(target: str, port: int, environment: Mapping[str, str], ready: str = "/readyz") -> Iterator[int]:
    """Run `bentoml serve TARGET` on a loopback port until the block ends; give its process id."""
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - it must outlive this block when the server fails
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment}
    )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}{ready}", process)
        yield process.pid
    except Exception:
        log.seek(0)
        sys.stderr.write(log.read().decode(errors="replace")[-4000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{url} was not ready within {limit_s:g} s")


def write_bodies(folder: Path, texts: Sequence[str], size: int) -> Path:
    """Write JSON bodies of `size` texts each, a line each, and return the file; `size` 1 sends a bare `text`."""
    path = folder / f"bodies-{size}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, len(texts) - size + 1, size):
            chunk = list(texts[start : start + size])
            file.write(json.dumps({"text": chunk[0]} if size == 1 else {"texts": chunk}) + "\n")
    return path


def need_tool(name: str) -> None:
    """Leave with one clear line when a command is missing."""
    if shutil.which(name) is None:
        sys.exit(f"skipped: this benchmark needs `{name}`; on Debian: apt-get install {name}")


def machine() -> dict[str, object]:
    """Describe where a result was measured."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    return {
        "cpu": next(names, platform.processor()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def keep_result(name: str, result: Mapping[str, object], about: Mapping[str, object]) -> Path:
    """Write a result with date, commit and machine to `benchmarks/results/NAME.json`."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": dict(about),
        **result,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, default=asdict) + "\n", encoding="utf-8")
    return path
