"""Where courses of the loop are kept: a `REGRADE_HOME` for each, which begins as a copy of its seed's start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks.banking77 import FLAGS, regrade
from benchmarks.loop_texts import Labelled, Texts, read_texts
from training.own_data import write_rows
from training.rows import Row

TASK = "b77"

Arm = Literal["triage", "random", "three people"]
ARMS: tuple[Arm, ...] = ("triage", "random", "three people")

_FAST_AFTER, _FULL_AFTER = 160, 700
"""Newly reviewed items: fast runs after every round and full ones after every fourth, though some are asked again."""


@dataclass(frozen=True)
class Point:
    """The live version after a round: its test `accuracy`, and what it took.

    `answers` are those of people and the labels that were there before; `resolved` and `waiting` count items. `run` is
    what the run that the round led to did, and what it said; `held_back`, the accuracy of a candidate that its gate
    did not let live.
    """

    answers: int
    resolved: int
    waiting: int
    accuracy: float
    version: str
    run: str
    held_back: float | None = None


def home_of(work: Path, seed: int, what: str) -> Path:
    """Return the `REGRADE_HOME` of a course, or of the `start` that all courses of a seed share."""
    return work / f"{seed}-{what.replace(' ', '-')}"


def read_points(work: Path, seed: int, arm: str) -> list[Point]:
    """Return the points of a course so far."""
    return points_in(home_of(work, seed, arm))


def points_in(home: Path) -> list[Point]:
    """Return the points of the course in `home` so far."""
    path = home / "points.json"
    return [Point(**one) for one in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def keep_points(home: Path, points: Sequence[Point]) -> None:
    """Write how far the course in `home` is."""
    whole = home / "points.json.new"
    whole.write_text(json.dumps([asdict(point) for point in points], indent=1), encoding="utf-8")
    whole.replace(home / "points.json")


def prepare(work: Path, seed: int, arm: Arm, *, quick: bool) -> Path:
    """Return the home of a course; it begins as a copy of its seed's start, which is made if it is not there yet."""
    home, start = home_of(work, seed, arm), home_of(work, seed, "start")
    if not start.exists():
        _make_whole(start, lambda made: _start(made, read_texts(seed), quick=quick))
    if not home.exists():
        _make_whole(home, lambda made: _copy(start, made, arm, quick=quick))
    return home


def _make_whole(home: Path, make: Callable[[Path], None]) -> None:
    """Make a home beside its place and move it there, so that one that is there is whole."""
    made = home.with_suffix(".new")
    shutil.rmtree(made, ignore_errors=True)
    make(made)
    made.rename(home)


def _start(home: Path, texts: Texts, *, quick: bool) -> None:
    home.mkdir(parents=True)
    write_rows(home / "start.csv", _rows(texts.start))
    regrade(home, "train", "--data", str(home / "start.csv"), "--task", TASK, *FLAGS["quick" if quick else "full"])
    write_rows(home / "tasks" / TASK / "gold.csv", _rows(texts.gold))


def _copy(start: Path, home: Path, arm: Arm, *, quick: bool) -> None:
    shutil.copytree(start, home)
    lines = [
        f"[retrain]\ncool_down_minutes = 0.0\nfast_after = {_FAST_AFTER}\nfull_after = {0 if quick else _FULL_AFTER}"
    ]
    if arm == "three people":
        lines.append('[review]\nstrategy = "crowd"\nanswers = 3\nmost_answers = 3')
    with (home / "tasks" / TASK / "task.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n\n".join(lines) + "\n")


def _rows(labelled: Labelled) -> list[Row]:
    return [Row(text, label, line) for line, (text, label) in enumerate(labelled, 2)]
