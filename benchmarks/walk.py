"""Where the time of a request goes: microseconds of CPU a text by step, for requests of 1 and of 64 texts.

`python -m benchmarks.walk` takes about two minutes, and draws `docs/images/walk.svg`. Steps are timed by themselves,
the fastest of many times, because neighbours only ever make one slower. The queue's is what a request takes through it
whose answers are known: batches, futures and turns of the loop. HTTP is the server's CPU for a request to `/livez`.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from random import Random

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, cpu_seconds, keep_result, machine, need_tool, serving
from benchmarks.versions import live_folder
from benchmarks.walk_picture import Bar, draw_bars
from core.ids import new_id
from core.roles import Caller
from core.settings import load_settings
from feedback.facts import Recording
from feedback.recording import record
from feedback.store import Store, open_store
from service.batcher import Batcher
from service.batching import plan_batches
from service.classifier import Classifier, Judged, load_classifier
from service.encoding import Encoding
from service.exchange import json_reply
from service.metrics import Metrics
from service.recordings import Recordings
from service.replies import prediction
from service.requests import PredictRequest, parse_predict
from service.runner import Floats
from tasks.catalogue import find_task
from tasks.declaration import Task
from training.rows import read_rows

TASK, PORT = "support-intent", 3241
SIZES = (1, 64)
REPEATS = 100
_CALLER = Caller("benchmark", "app")
PICTURE = ROOT / "docs" / "images" / "walk.svg"


def fastest(step: Callable[[], object], texts: int) -> float:
    """Return the microseconds of CPU a text of the fastest of many times; each is of a step on `texts` texts."""
    times = []
    for _ in range(max(20, REPEATS // texts)):
        started = time.thread_time()
        step()
        times.append(time.thread_time() - started)
    return min(times) / texts * 1e6


class Known(Classifier):
    """A version that knows its answers."""

    def __init__(self, real: Classifier, encodings: Sequence[Encoding], judged: Sequence[Judged]) -> None:
        """Answer as `real` has, without computing anything."""
        self.__dict__.update(real.__dict__)
        self._encodings = iter(cycle(encodings))
        self._said = {one.text: one for one in judged}
        self._nothing = np.zeros((1, 1), dtype=np.float32)

    def prepare(self, text: str) -> Encoding:  # noqa: ARG002
        """Return the next encoding."""
        return next(self._encodings)

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:  # noqa: ARG002
        """Return nothing of use."""
        return self._nothing, self._nothing

    def judged(self, encodings: Sequence[Encoding], *_: Floats) -> list[Judged]:
        """Return what was said of the texts."""
        return [self._said[encoding.text] for encoding in encodings]


@dataclass(frozen=True)
class Walk:
    """What a request goes through: a version, its task, where it is recorded, and what counts it."""

    classifier: Classifier
    task: Task
    store: Store
    metrics: Metrics
    recordings: Recordings

    def steps(self, texts: list[str]) -> dict[str, float]:
        """Return microseconds a text by step, for one request with `texts`."""
        size, body = len(texts), json.dumps({"texts": texts} if len(texts) > 1 else {"text": texts[0]}).encode()
        one = self.classifier
        redacted = [one.redact(text) for text in texts]
        encodings = [one.prepare(text) for text in texts]
        plans = plan_batches([len(encoding.ids) for encoding in encodings], 512)
        batches = [[encodings[at] for at in plan] for plan in plans]
        outputs = [one.compute(batch) for batch in batches]
        judged = [said for batch, made in zip(batches, outputs, strict=True) for said in one.judged(batch, *made)]
        request = parse_predict(body)
        said = self._said(judged)
        found = {
            "parse": fastest(lambda: parse_predict(body), size),
            "redact": fastest(lambda: [one.redact(text) for text in texts], size),
            "tokenise": fastest(lambda: [one._encoder.encode(text) for text in redacted], size),  # noqa: SLF001
            "encoder": fastest(lambda: [one.compute(batch) for batch in batches], size),
            "head and scope": fastest(
                lambda: [one.judged(batch, *made) for batch, made in zip(batches, outputs, strict=True)], size
            ),
            "reply": fastest(lambda: json_reply([one for one, _ in self._said(judged)]), size),
            "metrics": fastest(lambda: self._count(judged), size),
            "triage and facts": fastest(lambda: self._facts(request, said), size),
        }
        known = Known(one, encodings, judged)
        times = max(1, REPEATS // size)
        queue = fastest(lambda: uvloop.run(self._through(known, texts, times)), size * times)
        return {**found, "queue": queue, "write (in the background)": self._written(request, said)}

    def _said(self, judged: list[Judged]) -> list[tuple[dict[str, object], str]]:
        best = [one.probabilities.argsort()[::-1][:3].tolist() for one in judged]
        return [(prediction(self.classifier, one, top), one.text) for one, top in zip(judged, best, strict=True)]

    def _count(self, judged: list[Judged]) -> None:
        self.metrics.queue_waited(self.classifier, 0.001)
        self.metrics.computed(self.classifier, [10] * len(judged), 12)
        for one in judged:
            self.metrics.predicted(self.classifier, 0, 0.5, one.out_of_scope)
        self.metrics.answered("predict", TASK, "version", 200, 0.001)

    def _facts(self, request: PredictRequest, said: list[tuple[dict[str, object], str]]) -> list[Recording]:
        return self.recordings.of(self.task, self.classifier.manifest, request, _CALLER, said)

    async def _through(self, known: Known, texts: list[str], times: int) -> None:
        batcher = Batcher(self.metrics, max_queue=1024, batch_tokens=512, timeout_s=60)
        for _ in range(times):
            await batcher.submit(known, texts, lambda: False)

    def _written(self, request: PredictRequest, said: list[tuple[dict[str, object], str]]) -> float:
        """Return what writing takes a text, in commits of 256 texts, nobody being asked."""
        times = []
        for _ in range(10):
            facts = [one for _ in range(256 // len(said)) for one in self._facts(request, self._anew(said))]
            facts = [replace(one, item=None) for one in facts]
            started = time.thread_time()
            with self.store.write() as connection:
                record(self.store, connection, facts)
            times.append((time.thread_time() - started) / len(facts))
        return min(times) * 1e6

    @staticmethod
    def _anew(said: list[tuple[dict[str, object], str]]) -> list[tuple[dict[str, object], str]]:
        return [({**one, "id": new_id()}, text) for one, text in said]


def http_cost(home: Path, bentoml: Path) -> float:
    """Return the server's CPU for a request that asks for nothing, in microseconds."""
    environment = {"REGRADE_HOME": str(home), "BENTOML_HOME": str(bentoml), "REGRADE_WORKERS": "1"}
    environment |= {"REGRADE_TASKS": TASK, "BENTOML_DO_NOT_TRACK": "True"}
    with serving("service.app:Regrade", PORT, environment) as pid:
        command = ["wrk", "-t1", "-c16", "-d3s", f"http://127.0.0.1:{PORT}/livez"]
        times = []
        for _ in range(3):
            before = cpu_seconds(pid)
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            answered = next(int(line.split()[0]) for line in output.splitlines() if " requests in " in line)
            times.append((cpu_seconds(pid) - before) / answered)
    return min(times) * 1e6


def main() -> None:
    """Measure, print, draw, and keep the result."""
    need_tool("wrk")
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    folder, found = live_folder(settings, TASK), find_task(settings, TASK)
    rows = read_rows(found.folder / "train.csv").rows
    texts = [row.text for row in rows][:: max(1, len(rows) // 64)][:64]
    texts[0] = sorted(texts, key=len)[32]
    with tempfile.TemporaryDirectory() as work, closing(open_store(f"sqlite:///{work}/walk.sqlite3")) as store:
        metrics = Metrics(CollectorRegistry())
        recordings = Recordings(Random(1), 1)
        walk = Walk(load_classifier(folder), found.task, store, metrics, recordings)
        steps = {size: walk.steps(texts[:size]) for size in SIZES}
    http = http_cost(settings.home, settings.bentoml_home)
    measured = {size: {"HTTP": http / size, **by_step} for size, by_step in steps.items()}
    table = Table("step", *(f"{size} a request" for size in SIZES), title="Microseconds of CPU a text")
    for name in measured[1]:
        table.add_row(name, *(f"{measured[size][name]:.1f}" for size in SIZES))
    Console().print(table)
    bars = [Bar("1 text a request", measured[1]), Bar("64 texts a request", measured[64])]
    draw_bars(PICTURE, bars, "Microseconds of CPU a text")
    rounded = {str(size): {name: round(cost, 2) for name, cost in of.items()} for size, of in measured.items()}
    path = keep_result("walk", {"microseconds_a_text": rounded}, about)
    print(f"kept in {path.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
