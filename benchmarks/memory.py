"""A worker's memory under load: 100,000 requests of mixed lengths, resident memory before, during and after.

`python -m benchmarks.memory` takes several minutes. One request in ten is a text longer than the model sees.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, keep_result, machine, need_tool, real_texts, send_load, serving
from core.settings import load_settings

PORT = 3211
TASK = "support-intent"
SLICE_S = 20.0


def workers_mib(pid: int) -> list[float]:
    """Return the resident memory of each serving process below `pid`, in MiB."""
    return [round(process.memory_info().rss / 2**20, 1) for process in serving_processes(pid)]


def serving_processes(pid: int) -> list[psutil.Process]:
    """Return the workers below the process `pid`."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "_bentoml_impl.worker.service" in child.cmdline()]


def write_mixed(folder: Path) -> Path:
    """Write bodies of every size: one text, a few, 64; short, ordinary, and longer than the model sees."""
    texts, path = real_texts(), folder / "mixed.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            long = " ".join(texts[number : number + 30])
            few = texts[number : number + 64] if number % 100 == 0 else texts[number : number + 3]
            body = {"text": long} if number % 10 == 0 else {"texts": few} if number % 10 == 5 else {"text": text}
            file.write(json.dumps(body) + "\n")
    return path


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    wanted: int = parser.parse_args().requests
    need_tool("wrk")
    about, settings = machine(), load_settings()
    environment = {"REGRADE_HOME": str(settings.home), "BENTOML_HOME": str(settings.bentoml_home)}
    table = Table("requests", "worker memory, MiB")
    seen: list[tuple[int, list[float]]] = []
    with tempfile.TemporaryDirectory() as work, serving("service.app:Regrade", PORT, environment) as pid:
        bodies, done, failed = write_mixed(Path(work)), 0, 0
        while True:
            seen.append((done, workers_mib(pid)))
            table.add_row(f"{done:,}", ", ".join(f"{one:.0f}" for one in seen[-1][1]))
            if done >= wanted:
                break
            endpoint = f"/v1/tasks/{TASK}/predict"
            load = send_load(PORT, endpoint, bodies, clients=32, seconds=SLICE_S, texts=1, server=pid)
            done, failed = done + load.requests, failed + load.failed
    Console().print(table)
    highest = max(max(workers) for _, workers in seen)
    print(f"highest: {highest:.0f} MiB a worker; {failed} requests failed")
    path = keep_result("memory", {"highest_mib": highest, "failed": failed, "workers_mib_by_requests": seen}, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
