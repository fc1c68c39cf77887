"""Do claim and answer keep their speed when the queue is long and its past longer? On SQLite and on PostgreSQL.

Run: `python -m benchmarks.queue [--rounds N]`. Each database is filled twice, by SQL: with 1,000 open and 1,000
resolved items, and with 100,000 open and 1,000,000 resolved ones. PostgreSQL is the one `REGRADE_TEST_POSTGRES_URL`
names, or one started from installed programs; without either only SQLite is measured. The four are measured in turns,
so that what else the machine does touches all alike.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from benchmarks.common import keep_result, machine
from benchmarks.filling import Size, databases, filled_store
from core.roles import Caller
from feedback.answers import Said, answer
from feedback.queue import claim
from feedback.stats import queue_stats
from feedback.store import Store
from tasks.declaration import Task

SMALL, LARGE = Size(1_000, 1_000), Size(100_000, 1_000_000)
CLAIMED = 10
LIMIT = 2.0

_T = TypeVar("_T")
_Which = tuple[str, Size]
"""A kind of database, and how much is in it."""

TASK = Task.model_validate(
    {
        "name": "bench",
        "labels": [{"id": number, "name": f"label {number}"} for number in range(1, 78)],
        "review": {"strategy": "crowd", "check_rate": 0.0},
    }
)


def main() -> None:
    """Fill, measure in turns, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    about = machine()
    with ExitStack() as exits:
        stores = {
            (kind, size): exits.enter_context(filled_store(url, TASK, size))
            for kind, url in exits.enter_context(databases()).items()
            for size in (SMALL, LARGE)
        }
        times = _measure(stores, rounds)
    result = {kind: _summary(times, kind) for kind in dict.fromkeys(kind for kind, _ in stores)}
    keep_result("queue", {"small": SMALL, "large": LARGE, "rounds": rounds, "databases": result}, about)
    worst = max(figures["ratio"] for steps in result.values() for figures in steps.values())
    print(f"worst ratio {worst:.2f}, limit {LIMIT:g}: {'kept' if worst < LIMIT else 'MISSED'}")
    sys.exit(worst >= LIMIT)


def _measure(stores: dict[_Which, Store], rounds: int) -> dict[tuple[_Which, str], list[float]]:
    """Let three new people work in each store in each round; return the milliseconds of every claim and answer."""
    times: dict[tuple[_Which, str], list[float]] = {}
    for number in range(rounds):
        for which, store in stores.items():
            for one in "abc":
                _work(store, Caller(f"new {number}{one}", "annotator"), which, times)
            _timed(times, (which, "stats"), partial(queue_stats, store, TASK))
    return times


def _work(store: Store, who: Caller, which: _Which, times: dict[tuple[_Which, str], list[float]]) -> None:
    held = _timed(times, (which, "claim"), partial(claim, store, TASK, who, CLAIMED))
    if len(held) != CLAIMED:
        raise RuntimeError(f"{len(held)} items were claimed instead of {CLAIMED}: the queue is too short")
    for item in held:
        said = partial(answer, store, {TASK.name: TASK}, who, item.item_id, item.lease_token, Said("label", "label 1"))
        _timed(times, (which, "answer"), said)


def _timed(times: dict[tuple[_Which, str], list[float]], key: tuple[_Which, str], work: Callable[[], _T]) -> _T:
    began = time.perf_counter()
    result = work()
    times.setdefault(key, []).append((time.perf_counter() - began) * 1000)
    return result


def _summary(times: dict[tuple[_Which, str], list[float]], kind: str) -> dict[str, dict[str, float]]:
    """Return and print, for each step, the medians in milliseconds and their ratio."""
    found = {}
    for step in ("claim", "answer", "stats"):
        small, large = (statistics.median(times[(kind, size), step]) for size in (SMALL, LARGE))
        found[step] = {"small_ms": round(small, 3), "large_ms": round(large, 3), "ratio": round(large / small, 3)}
        print(f"{kind:<11} {step:<7} {small:7.2f} ms {large:7.2f} ms  ratio {large / small:.2f}")
    return found


if __name__ == "__main__":
    main()
