"""How long the service takes until it is ready, against importing BentoML's server and opening the same sessions.

`python -m benchmarks.startup` takes about a minute. One worker; rounds are interleaved. CPU stands beside seconds,
because it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, cpu_seconds, keep_result, machine, serving
from core.settings import Settings, load_settings
from feedback.deployments import live_deployments
from feedback.store import open_store
from service.artifact import INT8
from service.model_store import version_folder

PORT = 3251
MOST_RATIO = 3.0
# `import bentoml` alone imports nearly nothing: what it offers is imported when it is first used.
_BASE = """
import sys, resource
import bentoml, _bentoml_impl.server.app, onnxruntime
bentoml.service
sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in sys.argv[1:]]
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process until it is ready, and the CPU of all its processes until then."""

    seconds: float
    cpu_s: float


def base(graphs: Sequence[Path]) -> Start:
    """Import BentoML and open the sessions, in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, "-c", _BASE, *map(str, graphs)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return Start(time.perf_counter() - started, float(printed))


def ours(settings: Settings) -> Start:
    """Start the service with one worker."""
    environment = {"REGRADE_HOME": str(settings.home), "BENTOML_HOME": str(settings.bentoml_home)}
    environment |= {"REGRADE_WORKERS": "1", "BENTOML_DO_NOT_TRACK": "True"}
    started = time.perf_counter()
    with serving("service.app:Regrade", PORT, environment) as pid:
        return Start(time.perf_counter() - started, cpu_seconds(pid))


def live_graphs(settings: Settings) -> list[Path]:
    """Return the graph of each live version, or leave with one clear line when there is none."""
    live = live_deployments(open_store(settings.store_url))
    if not live:
        sys.exit(f"skipped: no live version in {settings.home}; run `make serve` or `regrade train support-intent`")
    return [version_folder(task, deployment.version) / INT8 for task, deployment in live.items()]


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    graphs = live_graphs(settings)
    pairs = [(base(graphs), ours(settings)) for _ in range(rounds)]
    table = Table("", "seconds", "CPU s", title="Until ready, medians over rounds")
    for name, place in (("import BentoML's server, open sessions", 0), ("the service", 1)):
        measured = [pair[place] for pair in pairs]
        table.add_row(name, *(f"{median(getattr(one, of) for one in measured):.2f}" for of in ("seconds", "cpu_s")))
    Console().print(table)
    ratios = {of: round(median(getattr(b, of) / getattr(a, of) for a, b in pairs), 2) for of in ("seconds", "cpu_s")}
    print(f"the service over the base: {ratios['seconds']} in seconds (under {MOST_RATIO:g}), {ratios['cpu_s']} in CPU")
    result = {"ratios": ratios, "rounds": [{"base": asdict(a), "service": asdict(b)} for a, b in pairs]}
    print(f"kept in {keep_result('startup', result, about).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
