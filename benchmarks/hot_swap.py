"""Versions swapped under load: what callers notice of 100 promotions and rollbacks in turn, on two workers.

`python -m benchmarks.hot_swap` takes about six minutes. It serves a copy of the live version of a starter and a second
one that differs in its name only, so that latency can be compared: rounds without and with changes in turn, 64 clients.
The two are said to stand on different encoders, as after full runs: nothing is shared, and each change loads all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, Load, keep_result, real_texts, send_load, serving, write_bodies
from benchmarks.memory import workers_mib
from benchmarks.rounds import FIGURES, begin, columns, medians
from benchmarks.versions import live_folder
from core.settings import Settings, load_settings
from feedback.deployments import record_deployment
from feedback.store import Store, open_store
from service.artifact import MANIFEST

PORT, TASK, CLIENTS = 3221, "support-intent", 64
CHANGES = 100
ROUNDS = 4
SECOND = "20200101-000000-second"
BETWEEN_S = 1.5
"""Seconds between two changes: more than a worker takes to notice one."""

MOST_RATIO = 1.5


def make_home(settings: Settings, home: Path) -> tuple[Settings, str]:
    """Lay out a home with two versions of the task, the first of them live; return its settings and that version."""
    source = live_folder(settings, TASK)
    models = home / "bentoml" / "models" / TASK
    shutil.copytree(source.parent, models, symlinks=True)
    second = models / SECOND
    shutil.copytree(source, second)
    manifest = json.loads((second / MANIFEST).read_text(encoding="utf-8"))
    known = {"version": SECOND, "encoder": "0" * 64 if manifest.get("encoder") else None}
    (second / MANIFEST).write_text(json.dumps(manifest | known), encoding="utf-8")
    model = (second / "model.yaml").read_text(encoding="utf-8")
    (second / "model.yaml").write_text(model.replace(source.name, SECOND), encoding="utf-8")
    made = load_settings(home=home)
    store = open_store(made.store_url)
    record_deployment(store, TASK, source.name, "first version", "benchmark")
    store.close()
    return made, source.name


@contextmanager
def changing(store: Store, first: str, every_s: float) -> Iterator[list[str]]:
    """Change what is live again and again until the block ends; gives what was made live."""
    done: list[str] = []
    stop = threading.Event()

    def change() -> None:
        while not stop.wait(every_s):
            version = first if len(done) % 2 else SECOND
            record_deployment(store, TASK, version, "a benchmark", "benchmark")
            done.append(version)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def measure(settings: Settings, first: str, bodies: Path, pid: int) -> tuple[list[Load], list[Load], int]:
    """Measure rounds without and with changes; return them, and the number of changes."""
    store = open_store(settings.store_url)
    seconds = round(CHANGES * BETWEEN_S / ROUNDS)
    quiet, busy, changes = [], [], 0
    for _ in range(ROUNDS):
        quiet.append(_load(bodies, pid, seconds))
        with changing(store, first, BETWEEN_S) as done:
            busy.append(_load(bodies, pid, seconds))
        changes += len(done)
        time.sleep(BETWEEN_S)
    store.close()
    return quiet, busy, changes


def _load(bodies: Path, pid: int, seconds: float) -> Load:
    endpoint = f"/v1/tasks/{TASK}/predict"
    return send_load(PORT, endpoint, bodies, clients=CLIENTS, seconds=seconds, texts=1, server=pid)


def main() -> None:
    """Measure, print, and keep the result."""
    _, _, about, settings = begin(__doc__)
    with tempfile.TemporaryDirectory() as work:
        made, first = make_home(settings, Path(work))
        environment = {"REGRADE_HOME": work, "BENTOML_HOME": f"{work}/bentoml", "REGRADE_WORKERS": "2"}
        environment |= {"REGRADE_TASKS": TASK, "REGRADE_DATABASE_URL": ""}
        os.environ["BENTOML_HOME"] = environment["BENTOML_HOME"]
        bodies = write_bodies(Path(work), real_texts(), 1)
        with serving("service.app:Regrade", PORT, environment) as pid:
            _load(bodies, pid, 10)
            before = workers_mib(pid)
            quiet, busy, changes = measure(made, first, bodies, pid)
            after = workers_mib(pid)
    ratio = median(changed.p99_ms / still.p99_ms for changed, still in zip(busy, quiet, strict=True))
    failed = sum(one.failed for one in [*quiet, *busy])
    table = Table("", *columns(FIGURES))
    table.add_row("without changes", *medians(quiet))
    table.add_row(f"with {changes} changes", *medians(busy))
    Console(width=120).print(table)
    print(f"p99 with changes over p99 without: {ratio:.2f} (at most {MOST_RATIO}); {failed} requests failed")
    print(f"workers' memory, MiB: {before} before, {after} after")
    result = {"p99_ratio": ratio, "failed": failed, "changes": changes, "between_s": BETWEEN_S, "clients": CLIENTS}
    rounds = {"without": [asdict(one) for one in quiet], "with": [asdict(one) for one in busy]}
    path = keep_result("hot_swap", {**result, "workers_mib": {"before": before, "after": after}, **rounds}, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
