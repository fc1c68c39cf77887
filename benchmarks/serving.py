"""Our service against stock BentoML and the raw loop: same model, same texts, one run.

`python -m benchmarks.serving` takes about ten minutes. All servers stand at once and are measured in turn, round by
round, so that a noisy neighbour hits each alike; ratios are taken within a round and their median is reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.common import ROOT, Load, keep_result, real_texts, send_load, serving, write_bodies
from benchmarks.rounds import begin, columns, kept, medians, show
from benchmarks.versions import live_folder
from core.settings import Settings

TASK = "support-intent"
OURS, PLAIN, BATCHABLE = "regrade", "stock plain", "stock batchable"
Key = tuple[str, int, int]
"""System, texts a request, clients."""


@dataclass(frozen=True)
class Peer:
    """A server under test."""

    name: str
    target: str
    port: int
    path: str


PEERS = (
    Peer(OURS, "service.app:Regrade", 3201, f"/v1/tasks/{TASK}/predict"),
    Peer(PLAIN, "benchmarks.stock_service:Plain", 3202, "/classify"),
    Peer(BATCHABLE, "benchmarks.stock_service:Batchable", 3203, "/classify"),
)


@dataclass(frozen=True)
class Raw:
    """The raw loop: texts a second over all processes, and CPU seconds per 1,000 texts."""

    texts_per_s: float
    server_cpu_s_per_1000: float


def raw_loop(folder: Path, texts_file: Path, size: int, seconds: float) -> Raw:
    """Run one process a core, all beginning together."""
    command = [sys.executable, "-m", "benchmarks.raw_loop", str(folder), str(texts_file), str(size), str(seconds)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in os.sched_getaffinity(0)
    ]
    for process in processes:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("a raw loop did not start")
    done = [json.loads(process.communicate("go\n")[0]) for process in processes]
    texts = sum(one["texts"] for one in done)
    return Raw(sum(one["texts"] / one["seconds"] for one in done), sum(one["cpu"] for one in done) / texts * 1000)


Loads = dict[Key, list[Load]]
Raws = dict[int, list[Raw]]


def measure(folder: Path, settings: Settings, rounds: int, seconds: float) -> tuple[Loads, Raws]:
    """Measure everything in interleaved rounds."""
    loads: Loads = defaultdict(list)
    raws: Raws = defaultdict(list)
    texts = real_texts()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        texts_file = work / "texts.json"
        texts_file.write_text(json.dumps(texts), encoding="utf-8")
        ours = {size: write_bodies(work, texts, size) for size in (1, 64)}
        stock = {1: _bare_lists(work, texts), 64: ours[64]}
        environment = {
            "REGRADE_HOME": str(settings.home),
            "BENTOML_HOME": str(settings.bentoml_home),
            "REGRADE_TASKS": TASK,
            "BENCH_VERSION_FOLDER": str(folder),
            "BENTOML_DO_NOT_TRACK": "True",
        }
        pids = {peer.name: stack.enter_context(serving(peer.target, peer.port, environment)) for peer in PEERS}
        for _ in range(rounds):
            for size, clients in ((1, 1), (1, 16), (1, 64), (64, 4), (64, 16)):
                for peer in PEERS:
                    bodies = (ours if peer.name == OURS else stock)[size]
                    # A burst before each measurement: a server that stood idle finds its pages and caches cold.
                    for span in (1.0, seconds):
                        load = send_load(
                            peer.port,
                            peer.path,
                            bodies,
                            clients=clients,
                            seconds=span,
                            texts=size,
                            server=pids[peer.name],
                        )
                    loads[peer.name, size, clients].append(load)
            for size in (1, 64):
                raws[size].append(raw_loop(folder, texts_file, size, seconds))
    return loads, raws


def _bare_lists(work: Path, texts: list[str]) -> Path:
    path = work / "stock-1.jsonl"
    path.write_text("".join(json.dumps({"texts": [text]}) + "\n" for text in texts), encoding="utf-8")
    return path


def ratios(loads: Loads, raws: Raws) -> dict[str, float]:
    """Return the figures that are promised, each the median over rounds of a ratio within a round."""

    def of(name: str, size: int, clients: int) -> list[Load]:
        return loads[name, size, clients]

    def ratio(above: list[float], below: list[float]) -> float:
        return round(median(a / b for a, b in zip(above, below, strict=True)), 3)

    def speed(measured: list[Load] | list[Raw]) -> list[float]:
        return [one.texts_per_s for one in measured]

    def cpu(measured: list[Load] | list[Raw]) -> list[float]:
        return [one.server_cpu_s_per_1000 for one in measured]

    better_stock = [
        max(a.texts_per_s, b.texts_per_s) for a, b in zip(of(PLAIN, 1, 16), of(BATCHABLE, 1, 16), strict=True)
    ]
    return {
        "1 text, 16 clients: throughput / raw loop one at a time": ratio(speed(of(OURS, 1, 16)), speed(raws[1])),
        "1 text, 64 clients: throughput / raw loop one at a time": ratio(speed(of(OURS, 1, 64)), speed(raws[1])),
        "1 text, 16 clients: throughput / better stock BentoML": ratio(speed(of(OURS, 1, 16)), better_stock),
        "1 text, 16 clients: CPU a text / raw loop's": ratio(cpu(of(OURS, 1, 16)), cpu(raws[1])),
        "64 texts, 4 clients: throughput / sorted raw loop": ratio(speed(of(OURS, 64, 4)), speed(raws[64])),
        "64 texts, 16 clients: throughput / sorted raw loop": ratio(speed(of(OURS, 64, 16)), speed(raws[64])),
    }


def table_of(loads: Loads, raws: Raws) -> Table:
    """Return the medians by texts a request, clients and system."""
    table = Table("texts", "clients", "system", *columns(), title="Medians over rounds")
    for size in (1, 64):
        table.add_row(str(size), "-", "raw loop", *medians(raws[size]))
    for (name, size, clients), measured in sorted(loads.items(), key=lambda item: (item[0][1:], item[0][0])):
        table.add_row(str(size), str(clients), name, *medians(measured))
    return table


def main() -> None:
    """Measure, print, and keep the result."""
    rounds, seconds, about, settings = begin(__doc__)
    folder = live_folder(settings, TASK)
    loads, raws = measure(folder, settings, rounds, seconds)
    promised = ratios(loads, raws)
    show(table_of(loads, raws), promised)
    raw = [{"texts": size, "rounds": [asdict(one) for one in measured]} for size, measured in raws.items()]
    result = {"ratios": promised, "measured": kept(("system", "texts", "clients"), loads), "raw_loop": raw}
    path = keep_result("serving", result, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
