"""What a further task costs on a shared encoder, and by itself: CPU, throughput and memory with one to three tasks.

`python -m benchmarks.shared_encoder` takes about ten minutes, of which half make three `--quick` versions from one
base; `--home FOLDER` keeps them there for the next time. Two services with one worker each stand at once, with the same
versions: in one they share their encoder, in the other each has its own, as those of earlier releases have. They are
measured in turn, round by round; every prediction is recorded, and hardly any is reviewed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median

import psutil
from rich.table import Table

from benchmarks.banking77 import regrade
from benchmarks.common import ROOT, Load, data_folder, keep_result, machine, need_tool, real_texts, send_load, serving
from benchmarks.memory import serving_processes
from benchmarks.rounds import FIGURES, columns, kept, medians, options, show
from benchmarks.versions import set_triage
from core.settings import load_settings
from service.artifact import MANIFEST
from tasks.catalogue import find_task

STARTERS, THIRD = ("support-intent", "finance-sentiment"), "banking"
TASKS = (*STARTERS, THIRD)
SHARED, APART = "shared", "apart"
PORTS = {SHARED: 3231, APART: 3232}
RULES = "audit = 1e-9\nbudget = 1"

Loads = dict[tuple[str, int], list[Load]]
"""By system and number of tasks."""


def make_home(home: Path) -> None:
    """Make a live `--quick` version of each task in `home`, where there is none yet."""
    settings = load_settings(home=home)
    for task in STARTERS:
        if not (settings.own_tasks / task).exists():
            shutil.copytree(find_task(settings, task).folder, settings.own_tasks / task)
            regrade(home, "train", task, "--quick", "--deploy")
    if not (settings.own_tasks / THIRD).exists():
        data = str(data_folder() / "banking77" / "train.csv")
        regrade(home, "train", "--data", data, "--task", THIRD, "--quick", "--deploy")
    for task in TASKS:
        set_triage(settings.own_tasks / task, RULES)


def take_apart(home: Path) -> None:
    """Let every version have an encoder of its own, as if it had been made before heads had a file."""
    for path in (home / "bentoml" / "models").glob(f"*/*/{MANIFEST}"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(manifest | {"encoder": None}), encoding="utf-8")


def start(stack: ExitStack, source: Path, work: Path, name: str) -> int:
    """Serve a copy of the home `source` with one worker until the stack ends; return its process id."""
    home = work / name
    shutil.copytree(source, home, symlinks=True)
    if name == APART:
        take_apart(home)
    environment = {"REGRADE_HOME": str(home), "BENTOML_HOME": str(home / "bentoml"), "REGRADE_WORKERS": "1"}
    environment |= {"REGRADE_TASKS": ",".join(TASKS), "REGRADE_DATABASE_URL": "", "BENTOML_DO_NOT_TRACK": "True"}
    return stack.enter_context(serving("service.app:Regrade", PORTS[name], environment))


def write_bodies(work: Path, n_tasks: int) -> Path:
    """Write bodies of one text for the first `n_tasks` tasks."""
    path = work / f"bodies-{n_tasks}.jsonl"
    lines = (json.dumps({"tasks": TASKS[:n_tasks], "text": text}) for text in real_texts())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def measure(source: Path, rounds: int, seconds: float) -> tuple[Loads, dict[str, float]]:
    """Measure in interleaved rounds; return the loads, and the worker's memory in MiB afterwards, by system."""
    loads: Loads = defaultdict(list)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bodies = {n_tasks: write_bodies(work, n_tasks) for n_tasks in (1, 2, 3)}
        pids = {name: start(stack, source, work, name) for name in PORTS}
        for _, n_tasks, name in product(range(rounds), bodies, PORTS):
            sent = {"clients": 16, "texts": 1, "server": pids[name]}
            for span in (1.0, seconds):  # a burst first: a server that stood idle finds its caches cold
                load = send_load(PORTS[name], "/v1/predict", bodies[n_tasks], seconds=span, **sent)
            loads[name, n_tasks].append(load)
        memory = {name: sum(mib(one) for one in serving_processes(pid)) for name, pid in pids.items()}
    return loads, memory


def mib(process: psutil.Process) -> float:
    """Return the memory of a process, what it shares counted in part (PSS), in MiB."""
    return float(round(process.memory_full_info().pss / 2**20, 1))


def costs(loads: Loads) -> dict[str, float]:
    """Return what further tasks cost, as shares of the CPU of a request to one task: medians over rounds."""

    def cpu(name: str, n_tasks: int) -> list[float]:
        return [load.server_cpu_s_per_1000 for load in loads[name, n_tasks]]

    found = {}
    for name, n_tasks in product(PORTS, (2, 3)):
        rounds = zip(cpu(name, 1), cpu(name, n_tasks - 1), cpu(name, n_tasks), strict=True)
        share = median((more - fewer) / one for one, fewer, more in rounds)
        found[f"{name}: CPU of task {n_tasks} / CPU of a request to one"] = round(share, 3)
    gains = (a / b for a, b in zip(cpu(APART, 3), cpu(SHARED, 3), strict=True))
    found["three tasks: CPU apart / CPU shared"] = round(median(gains), 3)
    return found


def main() -> None:
    """Measure, print, and keep the result."""
    parser = options(__doc__)
    parser.add_argument("--home", type=Path, help="where the versions are, or are kept for the next time")
    given = parser.parse_args()
    need_tool("wrk")
    about = machine()
    with tempfile.TemporaryDirectory() as work:
        home = (given.home or Path(work) / "home").absolute()
        os.environ["BENTOML_HOME"] = str(home / "bentoml")
        make_home(home)
        loads, memory = measure(home, given.rounds, given.seconds)
    promised = costs(loads)
    table = Table("system", "tasks", *columns(FIGURES), title="Medians over rounds")
    for (name, n_tasks), measured in sorted(loads.items(), key=lambda item: (item[0][0], item[0][1])):
        table.add_row(name, str(n_tasks), *medians(measured))
    show(table, promised)
    print(f"memory of the worker with three tasks, PSS in MiB: {memory}")
    result = {"ratios": promised, "worker_mib": memory, "measured": kept(("system", "tasks"), loads)}
    path = keep_result("shared_encoder", result, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
