"""A process that `regrade bench` measures in: `python -m regrade.measure` loads a version and computes for a while.

It reads a line of JSON, a `Plan`; prints `ready` when everything is loaded and warm; waits for another line, so that
several begin together; and prints what it did as a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from regrade.memory import pss_mib

if TYPE_CHECKING:
    from service.classifier import Classifier

AT_ONCE = 16
"""Texts in a batch that is not sorted."""

ROUNDS = 5
"""Turns that every way has: what disturbs the machine for a moment then disturbs them alike."""


@dataclass(frozen=True)
class Way:
    """How a window of texts is cut: `one` by one, in batches as they `come`, or `sorted` under a `budget` of tokens."""

    order: str = "sorted"
    budget: int = 512


@dataclass(frozen=True)
class Plan:
    """What to measure: a version in `folder` on a `runner`, on the texts in a JSON file, from the one at `start`.

    Each of `ways` has so many `seconds`, in turns; `window` texts are taken at a time. Then `shapes`, (texts, tokens),
    are run as they are, for so many `seconds` in all. `cache` is the runner's folder for what it prepares.
    """

    folder: str
    runner: str
    cache: str
    texts: str
    seconds: float
    ways: tuple[Way, ...] = (Way(),)
    window: int = 64
    threads: int = 1
    start: int = 0
    shapes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Measured:
    """What a process did: texts a second and its memory (PSS, in MiB) by way, and the seconds that a shape's run takes.

    Each is in the order of the plan. Memory is what the process had after the first turn of a way: of ways that come
    in rising order of what they need, the most that one needs.
    """

    texts_per_s: tuple[float, ...]
    memory_mib: tuple[float, ...]
    runs_s: tuple[float, ...]


def load(plan: Plan) -> Classifier:
    """Load the version as a worker does, but for its threads."""
    from service.artifact import TOKENIZER, read_manifest
    from service.classifier import Classifier, load_classifier
    from service.encoders import SharedEncoder
    from service.encoding import read_tokenizer
    from service.runner import OrtRunner

    folder = Path(plan.folder)
    if plan.runner != "cpu":
        return load_classifier(folder, plan.runner, verify=False, cache=Path(plan.cache))
    runner = OrtRunner(folder, threads=plan.threads)
    return Classifier(folder, read_manifest(folder), SharedEncoder(runner, read_tokenizer(folder / TOKENIZER)))


def measure(classifier: Classifier, plan: Plan, texts: Sequence[str]) -> Measured:
    """Give each way its turns, and then each shape."""
    speeds: list[list[float]] = [[] for _ in plan.ways]
    memory = []
    for turn in range(ROUNDS):
        for position, way in enumerate(plan.ways):
            speeds[position].append(_turn(classifier, plan, way, texts, turn))
            if turn == 0:
                memory.append(pss_mib())
    return Measured(tuple(map(median, speeds)), tuple(memory), _run_shapes(classifier, plan))


def _turn(classifier: Classifier, plan: Plan, way: Way, texts: Sequence[str], turn: int) -> float:
    """Redact, tokenise and judge texts until the turn is over; return how many a second. Ways see the same texts."""
    first, done = plan.start + turn * plan.window, 0
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < plan.seconds / ROUNDS or not done:
        window = [texts[(first + done + offset) % len(texts)] for offset in range(plan.window)]
        encodings = [classifier.prepare(text) for text in window]
        for batch in _cut(plan, way, [len(encoding.ids) for encoding in encodings]):
            classifier.score([encodings[position] for position in batch])
        done += len(window)
    return done / spent


def _cut(plan: Plan, way: Way, lengths: Sequence[int]) -> list[list[int]]:
    """Cut a window of texts of `lengths` tokens into batches of positions."""
    from service.batching import plan_batches
    from service.buckets import plan_buckets

    if way.order == "sorted":
        return (plan_batches if plan.runner == "cpu" else plan_buckets)(lengths, way.budget)
    size = 1 if way.order == "one" else AT_ONCE
    return [list(range(start, min(start + size, len(lengths)))) for start in range(0, len(lengths), size)]


def _run_shapes(classifier: Classifier, plan: Plan) -> tuple[float, ...]:
    """Run each shape in turn until the time is up, at least once each; return the middle time of each."""
    import numpy as np

    spent: dict[tuple[int, int], list[float]] = {shape: [] for shape in plan.shapes}
    end = time.perf_counter() + plan.seconds
    while not all(spent.values()) or (spent and time.perf_counter() < end):
        for shape, times in spent.items():
            ids = np.ones(shape, dtype=np.int64)
            started = time.perf_counter()
            classifier.runner.run(ids, ids)
            times.append(time.perf_counter() - started)
    return tuple(median(times) for times in spent.values())


def main() -> None:
    """Load, say so, wait for the word, measure, and say what was found."""
    values: dict[str, Any] = json.loads(sys.stdin.readline())
    values["ways"] = tuple(Way(**way) for way in values["ways"])
    values["shapes"] = tuple((texts, tokens) for texts, tokens in values["shapes"])
    plan = Plan(**values)
    texts: list[str] = json.loads(Path(plan.texts).read_text(encoding="utf-8"))
    classifier = load(plan)
    classifier.classify(texts[:32])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(asdict(measure(classifier, plan, texts))) + "\n")


if __name__ == "__main__":
    main()
