"""Stores of a chosen size, filled by SQL within seconds: a queue, its past, and what was predicted, over sixty days.

What is open came last. Items doubt between the task's first labels; a sixteenth of the resolved ones correct the model.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, String, TextClause, bindparam, text

from feedback.audit import seal
from feedback.revisions import note_revision
from feedback.store import Store, open_store
from tasks.declaration import Task
from tests.support import postgres

DAYS = 60
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Size:
    """How many items are open, and how many are resolved."""

    open: int
    resolved: int


_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)"
_HOURS = "WITH RECURSIVE hours(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hours WHERE n < 24 * :days)"
_MS = ":began + CAST(n AS BIGINT) * :step"
"""When text number `n` came, in milliseconds since 1970; its id, a UUIDv7, begins with it."""

_DIALECT = {
    "sqlite": {
        "id": f"printf('%08x-%04x-7000-8000-000000000000', ({_MS}) / 65536, ({_MS}) % 65536)",
        "hash": "lower(hex(randomblob(32)))",
        "time": rf"strftime('%Y-%m-%d %H\:%M\:%f000', ({_MS}) / 1000.0, 'unixepoch')",
        "hour": r"strftime('%Y-%m-%d %H\:00\:00.000000', :ended / 1000 - n * 3600, 'unixepoch')",
        "json": "TEXT",
    },
    "postgresql": {
        "id": f"lpad(to_hex(({_MS}) / 65536), 8, '0') || '-' || lpad(to_hex(({_MS}) % 65536), 4, '0')"
        " || '-7000-8000-000000000000'",
        "hash": "md5(random()::text) || md5(random()::text)".replace("::", r"\:\:"),
        "time": f"to_timestamp(({_MS}) / 1000.0)",
        "hour": "date_trunc('hour', to_timestamp(:ended / 1000 - n * 3600))",
        "json": "JSON",
    },
}
_QUEUE = """
{numbers}
INSERT INTO texts (id, sha256, content, created_at)
SELECT {id}, {hash}, 'where is the parcel that I ordered, number ' || n, {time} FROM numbers;

INSERT INTO items (id, task, state, stage, round, wanted, revision, reason, text_id, text_sha256, cluster, suggestions,
    hidden, language, rank, open_key, resolution_id, created_at, resolved_at)
SELECT id, :task, CASE WHEN id <= :newest THEN 'resolved' ELSE 'open' END, 'crowd', 1, 3, 1, 'low_confidence', id,
    sha256, substr(sha256, 1, 32), CAST(:suggestions AS {json}), FALSE, 'en', 1e9,
    CASE WHEN id <= :newest THEN NULL ELSE :task || ':' || sha256 END, CASE WHEN id <= :newest THEN id END, created_at,
    CASE WHEN id <= :newest THEN created_at END
FROM texts;

INSERT INTO slots (item_id, round, number, task, stage, label, language, rank, state, annotator, answer_id)
SELECT id, 1, 1, task, 'crowd', :label, language, rank, 'answered', 'person ' || substr(cluster, 1, 1), id
FROM items WHERE state = 'resolved';

INSERT INTO slots (item_id, round, number, task, stage, label, language, rank, state)
SELECT id, 1, number, task, 'crowd', :label, language, rank, 'free'
FROM items CROSS JOIN (SELECT 1 AS number UNION SELECT 2 UNION SELECT 3) AS three WHERE state = 'open';

INSERT INTO encounters (item_id, round, annotator)
SELECT item_id, round, annotator FROM slots WHERE state = 'answered';

INSERT INTO leases (token, slot_id, item_id, round, task, annotator, granted_at, ended)
SELECT item_id, slots.id, item_id, slots.round, slots.task, annotator, created_at, 'answered'
FROM slots JOIN items ON items.id = item_id WHERE slots.state = 'answered';

INSERT INTO answers (id, task, item_id, round, slot_id, lease_token, annotator, role, revision, kind, value, counted,
    seconds, created_at)
SELECT item_id, slots.task, item_id, slots.round, slots.id, item_id, annotator, 'annotator', 1, 'label',
    CAST(CASE WHEN substr(cluster, 2, 1) = '0' THEN '2' ELSE '1' END AS {json}), 'true', 7.5, created_at
FROM slots JOIN items ON items.id = item_id WHERE slots.state = 'answered';

INSERT INTO resolutions (id, task, item_id, round, revision, kind, value, confirms, posterior, method, answer_ids,
    created_at)
SELECT id, task, id, 1, 1, 'label', CAST(CASE WHEN substr(cluster, 2, 1) = '0' THEN '2' ELSE '1' END AS {json}),
    substr(cluster, 2, 1) <> '0', '[[1, 0.9]]', 'dawid_skene', '[]', created_at
FROM items WHERE state = 'resolved'
"""
_AROUND = """
INSERT INTO predictions (id, task, version, revision, label, confidence, scores, out_of_scope, truncated, language,
    reason, inclusion, item_id, created_at)
SELECT id, task, :version, 1, :label, 0.4, CAST(:suggestions AS {json}), 0.1, FALSE, language, reason, 1.0, id,
    created_at
FROM items;

{hours}
INSERT INTO traffic (task, version, stratum, hour, predictions, expected, selected)
SELECT :task, :version, :label, {hour}, CAST(:last / (24 * :days) AS INTEGER) + 1, 1.0 * :last / (24 * :days),
    CAST(:last / (24 * :days) AS INTEGER) + 1
FROM hours;

{numbers}
INSERT INTO audit (created_at, actor, role, action, object, details)
SELECT {time}, 'person ' || (n % 16), 'reviewer', 'items.imported', {id}, '{{}}' FROM numbers WHERE n % 5 = 0;

UPDATE items SET stage = 'expert', reason = 'disagreement', wanted = 1
WHERE state = 'open' AND substr(cluster, 1, 2) IN ('00', '01', '02');

DELETE FROM slots WHERE number > 1 AND item_id IN (SELECT id FROM items WHERE stage = 'expert');

UPDATE slots SET stage = 'expert' WHERE item_id IN (SELECT id FROM items WHERE stage = 'expert');

INSERT INTO answers (id, task, item_id, round, annotator, role, revision, kind, value, counted, seconds, created_at)
SELECT substr(items.id, 1, 35) || n, task, items.id, 1, 'person ' || n, 'annotator', 1, 'label', CAST(n AS {json}),
    'true', 7.5, created_at
FROM items CROSS JOIN (SELECT '1' AS n UNION SELECT '2') AS two WHERE stage = 'expert'
"""
"""What stands beside the queue: predictions, traffic by the hour, an audit log, and disputes."""


_TALLIES = """
INSERT INTO tallies (task, name, shard, n)
SELECT task, 'items.' || state || '.' || reason, 0, count(*) FROM items GROUP BY task, state, reason
"""


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Give an address for each kind of database that is here; `{}` in it stands for the name of a store."""
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
def filled_store(url: str, task: Task, size: Size, version: str = "") -> Iterator[Store]:
    """Give a store with a queue of `size`; with a model `version`, with everything that stands beside it too.

    `url` is an address of `databases`. Every first suggestion is the task's first label.
    """
    name, began = f"queue{size.open}", time.monotonic()
    if not url.startswith("sqlite"):
        _make_schema(url, name)
    store = open_store(url.format(name))
    note_revision(store, task)
    _fill(store, task, size, version)
    seal(store)  # as housekeeping does by and by
    if not store.is_sqlite:  # as the autovacuum daemon does by and by
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    took = time.monotonic() - began
    print(f"{store.engine.dialect.name}: {size.open:,} open, {size.resolved:,} resolved, in {took:.0f} s")
    yield store
    store.close()


def _fill(store: Store, task: Task, size: Size, version: str) -> None:
    last, ended = size.open + size.resolved, round(datetime.now(UTC).timestamp() * 1000)
    known: dict[str, object] = {
        "task": task.name,
        "version": version,
        "label": task.label_names[0],
        "suggestions": json.dumps([[task.label_names[0], 0.4], [task.label_names[1], 0.3]]),
        "last": last,
        "days": DAYS,
        "step": DAYS * _DAY_MS // last,
        "began": ended - DAYS * _DAY_MS,
        "ended": ended,
    }
    with store.write() as connection:
        words = {**_DIALECT[connection.dialect.name], "numbers": _NUMBERS, "hours": _HOURS}
        newest = f"SELECT {words['id']} FROM (SELECT {size.resolved} AS n) AS one"
        known["newest"] = connection.execute(_bound(newest, known)).scalar_one()
        for statement in ";".join((_QUEUE, *([_AROUND] if version else []), _TALLIES)).split(";"):
            connection.execute(_bound(statement.format(**words), known))


def _bound(statement: str, known: dict[str, object]) -> TextClause:
    """Give `statement` its values, with types: PostgreSQL cannot tell them everywhere."""
    return text(statement).bindparams(
        *(
            bindparam(name, value, BigInteger() if isinstance(value, int) else String())
            for name, value in known.items()
            if f":{name}" in statement
        )
    )


def _make_schema(url: str, name: str) -> None:
    store = Store(url.format("public"))
    with store.write() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {name}"))
    store.close()
