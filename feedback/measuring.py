"""What people said that measures models: audits, past corrections, and how often a gold set was used before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from feedback.demo import is_real
from feedback.facts import Value
from feedback.items import loaded
from feedback.mappings import mapped, read_maps
from feedback.schema import items, predictions, resolutions, runs, snapshot_items, snapshots, texts
from feedback.store import Store
from tasks.declaration import Task

_MOST_AUDITS = 5000
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Audited:
    """A prediction that was drawn at random and resolved: its text, what people said, and the chance of its draw."""

    prediction_id: str
    text: str
    value: Value
    inclusion: float


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A resolution by its `id`: whether it `confirms` the model (None: no model had said anything), the item's reason.

    `number` is that of the first snapshot of the task that used it; None where none has.
    """

    id: str
    confirms: bool | None
    reason: str
    number: int | None


def read_audits(store: Store, task: Task) -> list[Audited]:
    """Return the latest 5,000 audits that people have resolved, in today's labels, the latest first.

    They are all that triage had no other reason to ask about: what the model was sure of. Each stands for one over its
    inclusion probability of such predictions. Those whose label is not certain under today's revision are left out,
    and so is demo data.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        rows = connection.execute(_audits(task.name)).all()
        maps = read_maps(connection, task)
    values = ((row, mapped(loaded(row.value), maps.get(row.revision))) for row in rows)
    return [Audited(row.id, row.content, value, row.inclusion) for row, value in values if value is not None]


def _audits(task: str) -> Select[Any]:
    """Select audits by the resolution that their item has now; a copy has that of the item it went into."""
    standing = items.alias("standing")
    return (
        select(predictions.c.id, predictions.c.inclusion, texts.c.content, resolutions.c.value, resolutions.c.revision)
        .join(items, items.c.id == predictions.c.item_id)
        .join(standing, standing.c.id == func.coalesce(items.c.same_as, items.c.id))
        .join(resolutions, resolutions.c.id == standing.c.resolution_id)
        .join(texts, texts.c.id == predictions.c.id)
        .where(predictions.c.task == task, predictions.c.reason == "audit", standing.c.reason == "audit")
        .where(is_real(predictions.c.language))
        .order_by(predictions.c.id.desc())
        .limit(_MOST_AUDITS)
    )


def read_reviewed(store: Store, resolution_ids: Sequence[str]) -> dict[str, Reviewed]:
    """Return what is known of the resolutions of these ids, by id.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        found = list(_reviewed(connection, resolution_ids))
    return {one.id: one for one in found}


def _reviewed(connection: Connection, resolution_ids: Sequence[str]) -> Iterator[Reviewed]:
    wanted = (
        select(resolutions.c.id, resolutions.c.confirms, items.c.reason, snapshot_items.c.number)
        .join(items, items.c.id == resolutions.c.item_id)
        .outerjoin(snapshot_items, snapshot_items.c.resolution_id == resolutions.c.id)
    )
    for start in range(0, len(resolution_ids), _CHUNK):
        some = wanted.where(resolutions.c.id.in_(resolution_ids[start : start + _CHUNK]))
        for row in connection.execute(some):
            yield Reviewed(row.id, row.confirms, row.reason, row.number)


def snapshot_number(store: Store, task: str, sha256: str) -> int:
    """Return the number of the task's snapshot of this hash; 0 where it is none, and so before every one.

    Raises:
        UnavailableError: the store is away.
    """
    mine = (snapshots.c.task == task) & (snapshots.c.sha256 == sha256)
    with store.read() as connection:
        found = connection.execute(select(snapshots.c.number).where(mine)).scalar()
    return int(found or 0)


def count_gold_uses(store: Store, task: str, gold_sha256: str) -> int:
    """Return how many verdicts of the task's runs rest on the gold set of this hash.

    Raises:
        UnavailableError: the store is away.
    """
    judged = select(runs.c.gate).where(runs.c.task == task, runs.c.gate.is_not(None))
    with store.read() as connection:
        verdicts: list[Mapping[str, Any]] = list(connection.execute(judged).scalars())
    return sum((verdict.get("gold") or {}).get("sha256") == gold_sha256 for verdict in verdicts)
