"""How many answers the whole loop needs: the product against people simulated from true labels, on BANKING77.

`python -m benchmarks.loop` takes some hours, and goes on where it was stopped (`--quick`: with the encoder as it is,
minutes a course). It begins with five examples a label and sends the rest of the training texts as traffic, in twelve
parts. Triage picks what people are asked about; they answer 192 items after each part; the scheduler's triggers then
start a fast run each time and a full one every fourth; the gate decides what goes live; and the live version, as it is
served, is measured on the 3,080 test texts. Beside it, in the same run: people who are brought the same texts in random
order without triage, and three people, each wrong once in twenty, whose answers the strategy `crowd` makes one.

Counted as answers are all that anybody labelled: the examples at the start, the gold set that the gate judges by (four
texts a label, out of the training texts, and of no other use), every answer of every person, and those to items that
are asked again. What is simpler than life: texts come within hours, so that the few audits, which wait behind doubtful
texts for days, are hardly reached (2 % of the texts, if they were); people answer every item that they are given, and
who is wrong is so by chance.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student  # type: ignore[import-untyped]

from benchmarks.common import RESULTS, ROOT, data_folder, keep_result, machine
from benchmarks.loop_home import ARMS, Arm, Point, prepare, read_points
from benchmarks.loop_picture import Level, Line, draw_lines
from benchmarks.loop_texts import read_texts

NEARLY = 0.99
"""Share of the accuracy with all labels that is to be reached ..."""
WITHIN = 0.30
"""... with answers to this share of the texts."""
AHEAD_FROM = 0.10
"""Share of answers from which triage is to be above random choice at every point."""


@dataclass(frozen=True)
class Mean:
    """Means over seeds after a round: share of answers, test accuracy, and half the width of its 95 % interval."""

    answers: float
    accuracy: float
    half: float


def play_all(work: Path, seeds: Sequence[int], arms: Sequence[Arm], *, quick: bool) -> None:
    """Play every course that is not over, each in a process of its own."""
    for seed in seeds:
        for arm in arms:
            home = prepare(work, seed, arm, quick=quick)
            environment = {**os.environ, "REGRADE_HOME": str(home), "BENTOML_HOME": str(home / "bentoml")}
            command = [sys.executable, "-m", "benchmarks.loop_arm", str(home), str(seed), arm]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)


def means(courses: Sequence[Sequence[Point]], n_texts: int) -> list[Mean]:
    """Return the means of each round that every course has come to; one course has no interval, and half is 0."""
    found = []
    for points in zip(*courses, strict=False):
        values = [point.accuracy for point in points]
        n = len(values)
        half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else 0.0
        found.append(Mean(float(np.mean([point.answers for point in points])) / n_texts, float(np.mean(values)), half))
    return found


def reached(curve: Sequence[Mean], accuracy: float) -> float | None:
    """Return the share of answers at which a curve first comes to `accuracy`, straight between points; None: never."""
    before: Mean | None = None
    for point in curve:
        if point.accuracy >= accuracy:
            if before is None:
                return point.answers
            step = (accuracy - before.accuracy) / (point.accuracy - before.accuracy)
            return before.answers + step * (point.answers - before.answers)
        before = point
    return None


def broken(curves: Mapping[str, Sequence[Mean]], full: float) -> list[str]:
    """Return the promises that are not kept."""
    faults = []
    if "triage" in curves:
        needed = reached(curves["triage"], NEARLY * full)
        if needed is None or needed > WITHIN:
            said = "never" if needed is None else f"{needed:.1%}"
            faults.append(f"{NEARLY:.0%} of full-data accuracy is reached with {said} answers; promised: {WITHIN:.0%}")
    for mine, other in zip(curves.get("triage", ()), curves.get("random", ()), strict=False):
        if mine.answers > AHEAD_FROM and mine.accuracy <= other.accuracy:
            faults.append(f"at {mine.answers:.1%} answers triage has {mine.accuracy:.2%}, random {other.accuracy:.2%}")
    return faults


def full_accuracy(*, quick: bool) -> tuple[float, str]:
    """Return the test accuracy of the same recipe with all labels, and the result it is from."""
    name = "banking77-quick" if quick else "banking77-full"
    kept = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return float(kept["test"]["accuracy"]), f"benchmarks/results/{name}.json"


def show(curves: Mapping[str, Sequence[Mean]], full: float) -> None:
    """Print accuracy by answers, arm by arm."""
    table = Table("round", *(f"{arm}: answers, accuracy" for arm in curves), title=f"Full data: {full:.2%}")
    for number in range(max(map(len, curves.values()))):
        cells = [_cell(curve[number]) if number < len(curve) else "" for curve in curves.values()]
        table.add_row(str(number), *cells)
    Console(width=120).print(table)
    for arm, curve in curves.items():
        needed = reached(curve, NEARLY * full)
        print(f"{arm}: {NEARLY:.0%} of full-data accuracy with {'-' if needed is None else f'{needed:.1%}'} answers")


def _cell(point: Mean) -> str:
    interval = f" ± {point.half:.2%}" if point.half else ""
    return f"{point.answers:.1%}  {point.accuracy:.2%}{interval}"


def draw(path: Path, curves: Mapping[str, Sequence[Mean]], full: float) -> None:
    """Draw the curves with their intervals."""
    lines = [
        Line(arm, [(one.answers, one.accuracy - one.half, one.accuracy, one.accuracy + one.half) for one in curve])
        for arm, curve in curves.items()
    ]
    levels = [Level(f"{NEARLY:.0%} of full data", NEARLY * full)]
    draw_lines(path, lines, levels, title="BANKING77: test accuracy of the live version", across="answers / texts")


def main() -> None:
    """Play, print, draw, keep the result; exit with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "loop", help="where courses are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--quick", action="store_true", help="leave the encoder as it is: no full runs")
    parser.add_argument("--show", action="store_true", help="only look at what has been played so far")
    options = parser.parse_args()
    data_folder()
    about, work = machine(), options.work.absolute() / ("quick" if options.quick else "full")
    if not options.show:
        play_all(work, options.seeds, options.arms, quick=options.quick)
    courses = {arm: [read_points(work, seed, arm) for seed in options.seeds] for arm in options.arms}
    n_texts, (full, source) = read_texts(0).n_texts, full_accuracy(quick=options.quick)
    curves = {arm: means([one for one in played if one], n_texts) for arm, played in courses.items()}
    curves = {arm: curve for arm, curve in curves.items() if curve}
    show(curves, full)
    if options.show:
        return
    name, faults = "loop-quick" if options.quick else "loop", broken(curves, full)
    draw(RESULTS / f"{name}.svg", curves, full)
    needed = {arm: reached(curve, NEARLY * full) for arm, curve in curves.items()}
    told = {"texts": n_texts, "seeds": options.seeds, "full_accuracy": full, "full_accuracy_from": source}
    keep_result(name, {**told, "needed": needed, "means": curves, "courses": courses, "broken": faults}, about)
    print("\n".join(faults) if faults else "every promise is kept")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
