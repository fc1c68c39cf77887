"""What `regrade bench` measures of a version, in processes of its own, and what it makes of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RunError
from core.settings import available_cores
from regrade.advice import Figures, Shape, Speed
from regrade.environment import PROJECT, serving_environment
from regrade.measure import Measured, Plan, Way
from regrade.memory import available_mib
from service.runner import GPU_WORKERS

if TYPE_CHECKING:
    from core.settings import Settings

_BUDGETS = (128, 256, 512, 1024, 2048)
_GPU_BUDGETS = (1024, 4096, 16_384)
_GPU_WINDOW = 256
_SHAPE_TEXTS = (1, 4, 16)
_SHAPE_TOKENS = (8, 16, 32, 64, 128, 256, 512)
_REPEATS = 2
"""Times that layouts of processes and threads are tried; the better counts, for neighbours only ever slow them down."""

_ONE_CORE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Subject:
    """What is measured: the version in `folder` on a `runner`, on `texts`, `seconds` each; `scratch` is for files."""

    settings: Settings
    folder: Path
    runner: str
    texts: list[str]
    seconds: float
    scratch: Path


def steps_of(runner: str) -> int:
    """Return how many steps `measure` will take."""
    layouts = len(_layouts(runner)) * _REPEATS
    return 1 + (2 * layouts if runner == "cpu" else layouts)


def measure(subject: Subject, advance: Callable[[int], None]) -> Figures:
    """Measure ways to batch, threads and processes; `advance` is told of every step.

    Raises:
        RunError: a process ended early.
    """
    cores, load, free = available_cores(), os.getloadavg()[0], available_mib()
    longest, max_length, truncated = _lengths(subject)
    budgets = _BUDGETS if subject.runner == "cpu" else _GPU_BUDGETS
    shapes = tuple(product(_SHAPE_TEXTS, [tokens for tokens in _SHAPE_TOKENS if tokens <= max_length]))
    ways = (Way("one"), *(Way(budget=budget) for budget in budgets), Way("come"))
    plan = _plan(subject)
    (alone,) = _run(subject.settings, [replace(plan, ways=ways, shapes=shapes)])
    advance(1)
    threads, processes = [], []
    for count in _layouts(subject.runner):
        apart = [replace(plan, start=start) for start in _starts(subject, count)]
        processes.append(_best(subject, count, apart, advance))
        if subject.runner == "cpu":
            threads.append(_best(subject, count, [replace(plan, threads=count)], advance))
    return Figures(
        runner=subject.runner,
        cores=cores,
        available_mib=free,
        load=load,
        texts=len(subject.texts),
        longest_tokens=longest,
        max_length=max_length,
        truncated=truncated,
        one_by_one=alone.texts_per_s[0],
        unsorted=alone.texts_per_s[-1],
        budgets=[Speed(*one) for one in zip(budgets, alone.texts_per_s[1:-1], alone.memory_mib[1:-1], strict=True)],
        threads=threads,
        processes=processes,
        shapes=[Shape(*shape, taken) for shape, taken in zip(shapes, alone.runs_s, strict=True)],
    )


def _plan(subject: Subject) -> Plan:
    """Return what all measurements have in common; the texts go into a file."""
    file = subject.scratch / "texts.json"
    file.write_text(json.dumps(subject.texts), encoding="utf-8")
    plan = Plan(str(subject.folder), subject.runner, str(subject.settings.cache), str(file), subject.seconds)
    return plan if subject.runner == "cpu" else replace(plan, window=_GPU_WINDOW, ways=(Way(budget=_GPU_BUDGETS[-1]),))


def _layouts(runner: str) -> list[int]:
    """Return the numbers of processes, and of threads, to try: few, up to one a core, and up to a GPU's default."""
    most = available_cores() if runner == "cpu" else min(available_cores(), GPU_WORKERS)
    return sorted({size for size in (1, 2, most // 4, most // 2, most) if 1 <= size <= most})


def _starts(subject: Subject, count: int) -> list[int]:
    """Return where in the texts each of `count` processes begins."""
    return [number * len(subject.texts) // count for number in range(count)]


def _best(subject: Subject, size: int, plans: Sequence[Plan], advance: Callable[[int], None]) -> Speed:
    """Return what processes do together, at their best; memory is that of the largest."""
    tries = []
    for _ in range(_REPEATS):
        found = _run(subject.settings, plans)
        tries.append(Speed(size, sum(one.texts_per_s[0] for one in found), max(one.memory_mib[0] for one in found)))
        advance(1)
    return max(tries, key=lambda speed: speed.texts_per_s)


def _lengths(subject: Subject) -> tuple[int, int, float]:
    """Return the most tokens in a text, the most that the model sees, and the share of texts that are cut off."""
    from core.redaction import Redactor
    from service.artifact import TOKENIZER, read_manifest
    from service.encoding import load_encoder

    manifest = read_manifest(subject.folder)
    encoder = load_encoder(subject.folder / TOKENIZER, manifest.max_length)
    redact = Redactor(manifest.redact)
    encodings = [encoder.encode(redact(text)) for text in subject.texts]
    truncated = sum(encoding.truncated for encoding in encodings) / len(encodings)
    return max(len(encoding.ids) for encoding in encodings), manifest.max_length, truncated


def _run(settings: Settings, plans: Sequence[Plan]) -> list[Measured]:
    """Measure each plan in a process of its own, all at once.

    Raises:
        RunError: a process ended early.
    """
    environment = serving_environment(settings) | _ONE_CORE | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-P", "-m", "regrade.measure"]
    processes = [
        subprocess.Popen(  # noqa: S603 - fixed words
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in plans
    ]
    try:
        for process, plan in zip(processes, plans, strict=True):
            _tell(process, json.dumps(asdict(plan)))
        for process in processes:
            _hear(process)
        for process in processes:
            _tell(process, "go")
        return [Measured(**json.loads(_hear(process))) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        said = (process.stderr.read() if process.stderr else "").strip().splitlines()
        raise RunError(f"a process that measures ended early: {said[-1] if said else 'it said nothing'}")
    return line
