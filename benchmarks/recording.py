"""What remembering costs: throughput with every prediction recorded, and with every one reviewed, against neither.

`python -m benchmarks.recording` takes about six minutes. The three services stand at once, each with its own SQLite
store, and are measured in turn, round by round; ratios are taken within a round and their median is reported. No text
is sent to a service twice: copies of an open item would share it, and cost less.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count, islice, product
from pathlib import Path
from statistics import median
from string import ascii_lowercase

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, Load, keep_result, machine, need_tool, real_texts, send_load, serving, write_bodies
from benchmarks.versions import live_folder
from core.settings import Settings, load_settings
from feedback.deployments import record_first_deployment
from feedback.store import open_store
from tasks.catalogue import find_task

TASK = "support-intent"
OFF, RECORDED, REVIEWED = "off", "every one recorded", "every one reviewed"
RULES = {OFF: "audit = 1.0", RECORDED: "audit = 1e-9\nbudget = 1", REVIEWED: "audit = 1.0"}
"""The triage of each system: nobody is asked, or somebody about everything."""

PER_SECOND = 4_000
"""Texts prepared for each second: more than any service answers on the machines this runs on."""


@dataclass(frozen=True)
class System:
    """A running service."""

    name: str
    port: int
    process: int
    home: Path


def prepare_home(settings: Settings, folder: Path, name: str) -> Path:
    """Make a home whose task asks as the system's rules say, with the live version deployed."""
    home = folder / name.replace(" ", "-")
    own = home / "tasks" / TASK
    shutil.copytree(find_task(settings, TASK).folder, own)
    declaration = own / "task.toml"
    without = re.sub(r"^\[triage\]\n(?:(?!\[).*\n?)*", "", declaration.read_text(encoding="utf-8"), flags=re.MULTILINE)
    declaration.write_text(f"{without}\n[triage]\n{RULES[name]}\n", encoding="utf-8")
    store = open_store(f"sqlite:///{home / 'regrade.sqlite3'}")
    record_first_deployment(store, TASK, live_folder(settings, TASK).name, "benchmark", "benchmark")
    store.close()
    return home


def start(stack: ExitStack, settings: Settings, work: Path, name: str, port: int) -> System:
    """Start one service until the stack ends."""
    home = prepare_home(settings, work, name)
    environment = {
        "REGRADE_HOME": str(home),
        "REGRADE_DATABASE_URL": "",
        "BENTOML_HOME": str(settings.bentoml_home),
        "REGRADE_TASKS": TASK,
        "REGRADE_RECORD": "off" if name == OFF else "all",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return System(name, port, stack.enter_context(serving("service.app:Regrade", port, environment)), home)


def measure(settings: Settings, rounds: int, seconds: float) -> dict[tuple[str, int], list[Load]]:
    """Measure the three systems in interleaved rounds, by system and number of clients."""
    loads: dict[tuple[str, int], list[Load]] = defaultdict(list)
    texts, run = real_texts(), count()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        systems = [start(stack, settings, work, name, 3211 + place) for place, name in enumerate(RULES)]
        for _, clients in product(range(rounds), (16, 64)):
            for span in (1.0, seconds):  # a burst first: a server that stood idle finds its caches cold
                number = next(run)
                wanted = distinct(texts, number, round((span + 0.5) * PER_SECOND))
                bodies = write_bodies(work, wanted, 1)
                for system in systems:
                    path = f"/v1/tasks/{TASK}/predict"
                    sent = {"clients": clients, "seconds": span, "texts": 1}
                    load = send_load(system.port, path, bodies, server=system.process, **sent)  # type: ignore[arg-type]
                    if span == seconds:
                        loads[system.name, clients].append(load)
    return loads


def distinct(texts: list[str], run: int, wanted: int) -> list[str]:
    """Return `wanted` texts that no other run has: real ones, each with a made-up word at its end."""
    words = ("".join(letters) for letters in product(ascii_lowercase, repeat=4))
    start = run * wanted
    return [f"{texts[place % len(texts)]} {word}" for place, word in enumerate(islice(words, start, start + wanted))]


def ratios(loads: dict[tuple[str, int], list[Load]]) -> dict[str, float]:
    """Return throughput relative to that without, each the median over rounds of a ratio within a round."""
    found = {}
    for clients, name in product((16, 64), (RECORDED, REVIEWED)):
        pairs = zip(loads[name, clients], loads[OFF, clients], strict=True)
        found[f"{name}, {clients} clients: throughput / without"] = round(
            median(one.texts_per_s / other.texts_per_s for one, other in pairs), 3
        )
    return found


def show(loads: dict[tuple[str, int], list[Load]], promised: dict[str, float]) -> None:
    """Print the table."""
    console = Console(width=120)
    table = Table(
        "clients", "system", "texts/s", "p50 ms", "p99 ms", "CPU s/1000", "failed", title="Medians over rounds"
    )
    for (name, clients), measured in sorted(loads.items(), key=lambda item: item[0][1]):
        fields = ("texts_per_s", "p50_ms", "p99_ms", "server_cpu_s_per_1000", "failed")
        speed, p50, p99, cpu, failed = (median(getattr(one, field) for one in measured) for field in fields)
        table.add_row(str(clients), name, f"{speed:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.2f}", f"{failed:.0f}")
    console.print(table)
    for name, value in promised.items():
        console.print(f"{name}: [bold]{value:.2f}[/bold]")


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    options = parser.parse_args()
    need_tool("wrk")
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    loads = measure(settings, options.rounds, options.seconds)
    promised = ratios(loads)
    show(loads, promised)
    measured = [
        {"system": name, "clients": clients, "rounds": [asdict(one) for one in rounds]}
        for (name, clients), rounds in loads.items()
    ]
    path = keep_result("recording", {"ratios": promised, "measured": measured}, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
