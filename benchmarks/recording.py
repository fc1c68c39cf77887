"""What remembering costs: throughput with every prediction recorded, and with every one reviewed, against neither.

`python -m benchmarks.recording` takes about six minutes. The three services stand at once, each with its own SQLite
store, and are measured in turn, round by round; ratios are taken within a round and their median is reported. No text
is sent to a service twice: copies of an open item would share it, and cost less.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, islice, product
from pathlib import Path
from statistics import median
from string import ascii_lowercase

from rich.table import Table

from benchmarks.common import ROOT, Load, keep_result, real_texts, send_load, serving, write_bodies
from benchmarks.rounds import FIGURES, begin, columns, kept, medians, show
from benchmarks.versions import live_folder, set_triage
from core.settings import Settings
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
    set_triage(own, RULES[name])
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


def table_of(loads: dict[tuple[str, int], list[Load]]) -> Table:
    """Return the medians by clients and system."""
    figures = [figure for figure in FIGURES if figure != "client_cpu_share"]
    table = Table("clients", "system", *columns(figures), title="Medians over rounds")
    for (name, clients), measured in sorted(loads.items(), key=lambda item: item[0][1]):
        table.add_row(str(clients), name, *medians(measured, figures))
    return table


def main() -> None:
    """Measure, print, and keep the result."""
    rounds, seconds, about, settings = begin(__doc__)
    loads = measure(settings, rounds, seconds)
    promised = ratios(loads)
    show(table_of(loads), promised)
    result = {"ratios": promised, "measured": kept(("system", "clients"), loads)}
    path = keep_result("recording", result, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
