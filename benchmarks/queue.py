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
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import text

from benchmarks.common import keep_result, machine
from core.roles import Caller
from feedback.answers import Said, answer
from feedback.queue import claim
from feedback.stats import queue_stats
from feedback.store import Store, open_store
from tasks.declaration import Task
from tests.support import postgres

SMALL, LARGE = (1_000, 1_000), (100_000, 1_000_000)
"""Open and resolved items."""
CLAIMED = 10
LIMIT = 2.0

_T = TypeVar("_T")
_Which = tuple[str, tuple[int, int]]
"""A kind of database, and how much is in it."""

TASK = Task.model_validate(
    {
        "name": "bench",
        "labels": [{"id": number, "name": f"label {number}"} for number in range(1, 78)],
        "review": {"strategy": "crowd", "check_rate": 0.0},
    }
)

_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)"
_DIALECT = {
    "sqlite": {
        "id": "printf('%08x-%04x-7000-8000-000000000000', n / 65536, n % 65536)",
        "hash": "lower(hex(randomblob(32)))",
    },
    "postgresql": {
        "id": "lpad(to_hex(n / 65536), 8, '0') || '-' || lpad(to_hex(n % 65536), 4, '0') || '-7000-8000-000000000000'",
        "hash": "md5(random()::text) || md5(random()::text)",
    },
}
_FILL = """
{numbers}
INSERT INTO texts (id, sha256, content, created_at)
SELECT {id}, {hash}, 'where is the parcel that I ordered, number ' || n, :now FROM numbers;

INSERT INTO items (id, task, state, stage, round, wanted, revision, reason, text_id, text_sha256, cluster, suggestions,
    hidden, language, rank, open_key, resolution_id, created_at, resolved_at)
SELECT id, 'bench', CASE WHEN id <= :newest THEN 'resolved' ELSE 'open' END, 'crowd', 1, 3, 1, 'low_confidence', id,
    sha256, substr(sha256, 1, 32), '[["label 1", 0.4]]', FALSE, 'en', 1e9,
    CASE WHEN id <= :newest THEN NULL ELSE 'bench:' || sha256 END, CASE WHEN id <= :newest THEN id END, created_at,
    CASE WHEN id <= :newest THEN created_at END
FROM texts;

INSERT INTO slots (item_id, round, number, task, stage, label, language, rank, state, annotator, answer_id)
SELECT id, 1, 1, task, 'crowd', 'label 1', language, rank, 'answered', 'person ' || substr(cluster, 1, 1), id
FROM items WHERE state = 'resolved';

INSERT INTO slots (item_id, round, number, task, stage, label, language, rank, state)
SELECT id, 1, number, task, 'crowd', 'label 1', language, rank, 'free'
FROM items CROSS JOIN (SELECT 1 AS number UNION SELECT 2 UNION SELECT 3) AS three WHERE state = 'open';

INSERT INTO encounters (item_id, round, annotator)
SELECT item_id, round, annotator FROM slots WHERE state = 'answered';

INSERT INTO leases (token, slot_id, item_id, round, task, annotator, granted_at, ended)
SELECT item_id, id, item_id, round, task, annotator, :now, 'answered' FROM slots WHERE state = 'answered';

INSERT INTO answers (id, task, item_id, round, slot_id, lease_token, annotator, role, revision, kind, value, counted,
    created_at)
SELECT item_id, task, item_id, round, id, item_id, annotator, 'annotator', 1, 'label', '1', 'true', :now
FROM slots WHERE state = 'answered';

INSERT INTO resolutions (id, task, item_id, round, revision, kind, value, posterior, method, answer_ids, created_at)
SELECT id, task, id, 1, 1, 'label', '1', '[[1, 0.9]]', 'dawid_skene', '[]', created_at
FROM items WHERE state = 'resolved';

INSERT INTO tallies (task, name, shard, n)
SELECT task, 'items.' || state || '.' || reason, 0, count(*) FROM items GROUP BY task, state, reason
"""


def main() -> None:
    """Fill, measure in turns, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    about = machine()
    with ExitStack() as exits:
        stores = {
            (kind, size): exits.enter_context(_filled(url, size))
            for kind, url in exits.enter_context(_urls()).items()
            for size in (SMALL, LARGE)
        }
        times = _measure(stores, rounds)
    result = {kind: _summary(times, kind) for kind in dict.fromkeys(kind for kind, _ in stores)}
    keep_result("queue", {"small": SMALL, "large": LARGE, "rounds": rounds, "databases": result}, about)
    worst = max(figures["ratio"] for steps in result.values() for figures in steps.values())
    print(f"worst ratio {worst:.2f}, limit {LIMIT:g}: {'kept' if worst < LIMIT else 'MISSED'}")
    sys.exit(worst >= LIMIT)


@contextmanager
def _urls() -> Iterator[dict[str, str]]:
    """Give an address for each kind of database; `{}` in it stands for the name of a store."""
    with ExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory())
        urls = {"sqlite": f"sqlite:///{folder}/{{}}.sqlite3"}
        if postgres.is_here():
            server = exits.enter_context(postgres.running_postgres())
            urls["postgresql"] = f"{server}?options=-csearch_path%3D{{}}"
        else:
            print("PostgreSQL is not here: only SQLite is measured")
        yield urls


@contextmanager
def _filled(url: str, size: tuple[int, int]) -> Iterator[Store]:
    """Give a store with `size` open and resolved items."""
    name, began = f"queue{size[0]}", time.monotonic()
    if not url.startswith("sqlite"):
        _make_schema(url, name)
    store = open_store(url.format(name))
    with store.write() as connection:
        words = _DIALECT[connection.dialect.name]
        newest = connection.execute(text(f"SELECT {words['id']} FROM (SELECT {size[1]} AS n) AS one")).scalar_one()
        for statement in _FILL.split(";"):
            filling = text(statement.format(numbers=_NUMBERS, **words))
            known = {"last": sum(size), "newest": newest, "now": _now(store)}
            connection.execute(filling, {name: value for name, value in known.items() if f":{name}" in filling.text})
    if not store.is_sqlite:  # as the autovacuum daemon does by and by
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    print(f"{store.engine.dialect.name}: {size[0]:,} open, {size[1]:,} resolved, in {time.monotonic() - began:.0f} s")
    yield store
    store.close()


def _make_schema(url: str, name: str) -> None:
    store = Store(url.format("public"))
    with store.write() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {name}"))
    store.close()


def _now(store: Store) -> object:
    """Return the moment as the database keeps it."""
    now = datetime.now(UTC)
    return now.strftime("%Y-%m-%d %H:%M:%S.%f") if store.is_sqlite else now


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
