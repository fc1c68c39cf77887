"""Predictions, remembered in batches: texts, items, predictions and traffic counters in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, select

from core.demo import language_of
from core.errors import UnavailableError
from feedback.bulk import write_rows
from feedback.facts import AUTOMATIC, Recording
from feedback.items import add_items
from feedback.schema import predictions, traffic
from feedback.store import Store
from feedback.texts import add_texts
from feedback.upsert import add_counts, insert_new

PREDICTION = "prediction"
"""Kind of a spool entry that holds a recording."""

_KNOWN = select(predictions.c.id).where(predictions.c.id.in_(bindparam("ids", expanding=True)))
_READER = TypeAdapter(Recording)

_GRAIN = 2.0**-30
"""Probabilities are counted in whole numbers of this, so that their sums are exact in any order, and what is taken out
of a sum again leaves nothing behind."""


def record(
    store: Store, connection: Connection, recordings: Sequence[Recording], *, keep_ids: bool = False
) -> dict[str, str]:
    """Remember `recordings` (ids all different), and return the item of each prediction that asks for one.

    The item is another's where an exact copy of the text is asked about already. Writing the same recording again
    changes nothing: no row, no counter. With `keep_ids` every item's own id stays valid, because it was given out.

    Raises:
        UnavailableError: another process writes one of these predictions at this moment; nothing may be kept of the
            transaction. Trying again later is safe.
    """
    new = _new(connection, recordings)
    asking = [one for one in (recordings if keep_ids else new) if one.item is not None]
    standing = add_items(store, connection, [one.item for one in asking if one.item], keep_ids=keep_ids)
    items = {one.id: standing[one.item.id] for one in asking if one.item}
    if new:
        rows = [_row(one, items.get(one.id)) for one in new]
        if write_rows(connection, insert_new(connection, predictions), rows) != len(rows):
            raise UnavailableError("another process records the same predictions now; they are tried again")
        _count(connection, new)
    return items


def _new(connection: Connection, recordings: Sequence[Recording]) -> Sequence[Recording]:
    """Write the texts, and return the recordings that are not in the store: nearly always all."""
    if add_texts(connection, [one.text for one in recordings]) == len(recordings):
        return recordings
    known = set(connection.scalars(_KNOWN, {"ids": [one.id for one in recordings]}))
    return [one for one in recordings if one.id not in known]


def _row(one: Recording, item_id: str | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "task": one.task,
        "version": one.version,
        "revision": one.revision,
        "label": one.label,
        "labels": one.labels,
        "spans": None,
        "confidence": one.confidence,
        "scores": one.scores,
        "out_of_scope": one.out_of_scope,
        "truncated": one.truncated,
        "language": language_of(one.text.subject, one.language),
        "metadata": one.metadata,
        "key_id": one.key_id,
        "reason": one.item.reason if one.item else None,
        "inclusion": one.inclusion,
        "item_id": item_id,
        "created_at": one.created_at,
    }


def _count(connection: Connection, new: Sequence[Recording]) -> None:
    """Add `new` to the counters of their hours; in the order of the key, so that two writers cannot deadlock."""
    sums: dict[tuple[str, str, str, datetime], list[float]] = {}
    for one in new:
        counters = sums.setdefault((one.task, one.version, one.label, hour_of(one.created_at)), [0, 0.0, 0])
        counters[0] += 1
        counters[1] += counted_share(one.inclusion)
        counters[2] += one.item is not None and one.item.reason in AUTOMATIC
    add_traffic(connection, sums)


def hour_of(moment: datetime) -> datetime:
    """Return the hour under which a prediction of `moment` is counted."""
    return moment.replace(minute=0, second=0, microsecond=0)


def counted_share(inclusion: float) -> float:
    """Return an inclusion probability as it is added to the counters."""
    return round(inclusion / _GRAIN) * _GRAIN


def add_traffic(connection: Connection, sums: Mapping[tuple[str, str, str, datetime], Sequence[float]]) -> None:
    """Add predictions, probabilities and selected ones to the counters of `(task, version, label, hour)`."""
    names = ("task", "version", "stratum", "hour", "predictions", "expected", "selected")
    rows = [dict(zip(names, (*key, *sums[key]), strict=True)) for key in sorted(sums)]
    write_rows(connection, add_counts(connection, traffic, "predictions", "expected", "selected"), rows)


def forward_predictions(store: Store, connection: Connection, bodies: Sequence[bytes]) -> None:
    """Record predictions that waited in the spool; their item ids were given out there and stay valid."""
    recordings = [_READER.validate_json(body) for body in bodies]
    record(store, connection, recordings, keep_ids=True)
