"""Proves the GPU runners on the machine it runs on: parity with the CPU, throughput by shape, memory.

`make gpu-check` (`python -m benchmarks.gpu`) takes a minute or two, more where TensorRT builds its engine for the first
time. It exits with 0 if everything holds, and with 1, saying what does not or that there is no GPU. `--runner cpu`
tries the script itself where there is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pynvml
from rich.console import Console
from rich.table import Table

from benchmarks.common import keep_result, machine
from benchmarks.versions import live_folder
from core.errors import RegradeError
from core.settings import RunnerName, Settings, load_settings
from service.artifact import FP32, INT8, TOKENIZER, Manifest, read_manifest
from service.batching import plan_batches
from service.bound import BoundRunner
from service.buckets import BATCH_TOKENS, all_buckets, plan_buckets
from service.classifier import Classifier, load_classifier
from service.encoders import SharedEncoder
from service.encoding import read_tokenizer
from service.gpu import open_on_gpu
from service.runner import Floats, choose_runner
from tasks.catalogue import find_task, find_tasks
from tasks.examples import base_texts

TEXTS = 1024
LEAST_AGREEMENT = 0.99
"""Share of texts that must get the label that the fp32 graph gives them on the CPU."""

LARGEST_GAP = 0.03
"""Largest difference allowed between a probability on the GPU and one of the fp32 graph on the CPU."""

REPLAY_GAP = 0.001
"""Largest difference allowed between two answers to the same texts in the same shapes: a captured graph replayed."""

LEAST_SPEED = 1.0
"""Times one CPU core's int8 throughput that a GPU must reach to be worth its place."""


@dataclass(frozen=True)
class Parity:
    """Agreement of labels (a share) and gaps between probabilities (0 to 1) on texts of the task."""

    n: int
    fp32_agreement: float
    fp32_gap: float
    int8_agreement: float
    replay_gap: float


@dataclass(frozen=True)
class Shape:
    """What one run of a bucket takes, copies included: the fastest and the middle one, in seconds."""

    texts: int
    tokens: int
    fastest_s: float
    median_s: float


@dataclass(frozen=True)
class Checked:
    """All that was measured of one runner."""

    runner: str
    device: str
    captures_graphs: bool
    open_s: float
    parity: Parity
    shapes: list[Shape]
    texts_per_s: float
    cpu_core_texts_per_s: float
    device_mib: float | None

    def faults(self) -> list[str]:
        """Return what does not hold."""
        parity = self.parity
        found = []
        if parity.fp32_agreement < LEAST_AGREEMENT:
            found.append(f"labels agree with fp32 on {parity.fp32_agreement:.2%}; expected {LEAST_AGREEMENT:.0%}")
        if not parity.fp32_gap <= LARGEST_GAP:
            found.append(f"a probability differs from fp32 by {parity.fp32_gap:.3f}; expected at most {LARGEST_GAP}")
        if not parity.replay_gap <= REPLAY_GAP:
            found.append(f"the same texts differ by {parity.replay_gap:.4f} the second time; at most {REPLAY_GAP}")
        if self.texts_per_s < LEAST_SPEED * self.cpu_core_texts_per_s:
            found.append(f"{self.texts_per_s:,.0f} texts/s are fewer than one CPU core's")
        return found


def batches_of(lengths: list[int], *, bucketed: bool) -> list[list[int]]:
    """Cut texts as a GPU's queue does, or as a CPU's."""
    return plan_buckets(lengths, BATCH_TOKENS) if bucketed else plan_batches(lengths, 512)


def answers(classifier: Classifier, texts: list[str], *, bucketed: bool) -> Floats:
    """Return the probabilities `(n_texts, n_labels)` that a classifier gives texts, in length-sorted batches."""
    encodings = [classifier.prepare(text) for text in texts]
    found = np.empty((len(texts), len(classifier.label_names)), dtype=np.float32)
    for batch in batches_of([len(encoding.ids) for encoding in encodings], bucketed=bucketed):
        found[batch] = classifier.score([encodings[position] for position in batch]).probabilities
    return found


def compare(classifier: Classifier, folder: Path, texts: list[str]) -> Parity:
    """Hold a GPU's answers against both graphs' on the CPU, and against its own the second time."""
    first, again = (answers(classifier, texts, bucketed=True) for _ in range(2))
    exact = answers(load_classifier(folder, file=FP32), texts, bucketed=False)
    small = answers(load_classifier(folder, file=INT8), texts, bucketed=False)
    said = first.argmax(axis=1)
    return Parity(
        n=len(texts),
        fp32_agreement=float((said == exact.argmax(axis=1)).mean()),
        fp32_gap=float(np.abs(first - exact).max()),
        int8_agreement=float((said == small.argmax(axis=1)).mean()),
        replay_gap=float(np.abs(first - again).max()),
    )


def time_shapes(runner: BoundRunner, longest: int, seconds: float) -> list[Shape]:
    """Time every bucket, interleaved, for about `seconds` in all."""
    random = np.random.default_rng(1)
    spent: dict[tuple[int, int], list[float]] = {shape: [] for shape in all_buckets(longest, BATCH_TOKENS)}
    end = time.monotonic() + seconds
    while time.monotonic() < end or not all(spent.values()):
        for shape, times in spent.items():
            ids = random.integers(1, 100, shape)
            started = time.perf_counter()
            runner.run(ids, np.ones_like(ids))
            times.append(time.perf_counter() - started)
    return [Shape(*shape, min(times), float(np.median(times))) for shape, times in spent.items()]


def texts_a_second(classifier: Classifier, texts: list[str], seconds: float, *, bucketed: bool) -> float:
    """Return how many texts a second one thread judges, redaction and tokens included, many at a time."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds or not done:
        answers(classifier, texts, bucketed=bucketed)
        done += len(texts)
    return done / (time.perf_counter() - started)


def about_device(runner: str) -> tuple[str, float | None]:
    """Return the GPU's name and the MiB that this process takes on it; None where the driver does not tell."""
    if runner == "cpu":
        return "no GPU", None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        mine = [one for one in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if one.pid == os.getpid()]
        used = mine[0].usedGpuMemory / 2**20 if mine and mine[0].usedGpuMemory else None
        return str(pynvml.nvmlDeviceGetName(handle)), used
    except pynvml.NVMLError as error:
        return f"unknown ({error})", None


def check(name: str, folder: Path, manifest: Manifest, texts: list[str], cache: Path, seconds: float) -> Checked:
    """Open the version on the runner `name` and measure it."""
    started = time.perf_counter()
    runner = open_on_gpu(folder, manifest, name, cache)
    open_s = time.perf_counter() - started
    classifier = Classifier(folder, manifest, SharedEncoder(runner, read_tokenizer(folder / TOKENIZER)))
    parity = compare(classifier, folder, texts)
    shapes = time_shapes(runner, manifest.max_length, seconds)
    speed = texts_a_second(classifier, texts, seconds, bucketed=True)
    core = texts_a_second(load_classifier(folder), texts, seconds, bucketed=False)
    device, used = about_device(name)
    return Checked(name, device, runner.captures, open_s, parity, shapes, speed, core, used)


def show(checked: Checked) -> None:
    """Print what was measured."""
    console, parity = Console(), checked.parity
    graphs = "CUDA graphs" if checked.captures_graphs else "no CUDA graphs"
    print(f"\n{checked.runner} on {checked.device}: opened and warmed in {checked.open_s:.1f} s, {graphs}")
    print(
        f"parity on {parity.n} texts: labels as fp32 {parity.fp32_agreement:.2%}, as int8 {parity.int8_agreement:.2%}; "
        f"largest gap to fp32 {parity.fp32_gap:.4f}, to itself {parity.replay_gap:.5f}"
    )
    lengths = sorted({shape.tokens for shape in checked.shapes})
    sizes = sorted({shape.texts for shape in checked.shapes})
    by_shape = {(shape.texts, shape.tokens): shape.median_s for shape in checked.shapes}
    table = Table("tokens a text", *(f"{size} texts" for size in sizes), title="Milliseconds a run, by bucket")
    for length in lengths:
        cells = (by_shape.get((size, length)) for size in sizes)
        table.add_row(str(length), *("-" if cell is None else f"{cell * 1e3:.2f}" for cell in cells))
    console.print(table)
    speed, core = checked.texts_per_s, checked.cpu_core_texts_per_s
    print(f"one thread: {speed:,.0f} texts/s; one CPU core in int8: {core:,.0f}, {speed / core:.1f} times fewer")
    print("memory on the device: " + ("unknown" if checked.device_mib is None else f"{checked.device_mib:,.0f} MiB"))


def chosen_task(settings: Settings, wanted: str | None) -> str:
    """Return the task to measure: the one asked for, or the first that there is."""
    return wanted or next(iter(find_tasks(settings)))


def usable(wanted: list[RunnerName] | None) -> list[str]:
    """Return the runners to check: those asked for, or `cuda`, and `tensorrt` where it starts.

    Raises:
        RunnerError: one that must be there is not.
    """
    if wanted:
        return [choose_runner(name) for name in wanted]
    found = [choose_runner("cuda")]
    try:
        found.append(choose_runner("tensorrt"))
    except RegradeError as error:
        print(f"tensorrt is left out: {error}")
    return found


def main() -> None:
    """Measure, print, keep the result, and exit with 1 if something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", help="task whose live version is measured; default: the first")
    parser.add_argument("--runner", action="append", choices=["cuda", "tensorrt", "cpu"], help="may be repeated")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    options = parser.parse_args()
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    try:
        runners = usable(options.runner)
        task = chosen_task(settings, options.task)
        folder = live_folder(settings, task)
        texts = base_texts(find_task(settings, task), TEXTS)
        manifest = read_manifest(folder)
        done = [check(name, folder, manifest, texts, settings.cache, options.seconds) for name in runners]
    except RegradeError as error:
        sys.exit(f"gpu-check: {error}")
    for checked in done:
        show(checked)
    if "cpu" not in runners:
        keep_result("gpu", {"task": task, "checked": [asdict(one) for one in done]}, about)
    faults = [f"{one.runner}: {fault}" for one in done for fault in one.faults()]
    if faults:
        sys.exit("gpu-check failed:\n" + "\n".join(faults))
    print("gpu-check: everything holds")


if __name__ == "__main__":
    main()
