"""Demo rows, taken out together with their part of the counts, some hundred at a time; see `feedback/clearing.py`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Column, Connection, Table, delete, select

from feedback.facts import AUTOMATIC
from feedback.recording import add_traffic, counted_share, hour_of
from feedback.schema import (
    answers,
    encounters,
    items,
    leases,
    predictions,
    reports,
    resolutions,
    slots,
    texts,
    traffic,
    undoings,
)
from feedback.store import Store
from feedback.tallies import add_tallies

_OF_ITEMS = (slots, leases, encounters, answers, resolutions)
"""Tables whose rows belong to one item each. Slots come first: whoever is being given one is waited for, and writes
the lease before."""


def clear_items(store: Store, connection: Connection, ids: Collection[str]) -> Counter[str]:
    """Take out items with all that was asked and said of them, and out of the counts."""
    wanted = select(items.c.id, items.c.task, items.c.state, items.c.reason, items.c.text_id)
    rows = connection.execute(wanted.where(items.c.id.in_(ids)).order_by(items.c.id).with_for_update()).all()
    deltas = Counter((row.task, f"items.{row.state}.{row.reason}") for row in rows if row.state in {"open", "resolved"})
    said = connection.execute(
        select(answers.c.id, answers.c.task, answers.c.role, answers.c.value, answers.c.comment_id)
        .add_columns(answers.c.proposed_id)
        .where(answers.c.item_id.in_(ids))
    ).all()
    deltas += Counter((row.task, f"answers.{row.role}") for row in said if row.value is not None)
    written = {row.text_id for row in rows} | {row.comment_id for row in said} | {row.proposed_id for row in said}
    gone = Counter({"undoings": remove(connection, undoings, undoings.c.answer_id, [row.id for row in said])})
    for table in _OF_ITEMS:
        gone[table.name] = remove(connection, table, table.c.item_id, ids)
    gone += _clear_reports(connection, reports.c.item_id, ids)
    gone["items"] = remove(connection, items, items.c.id, ids)
    gone["texts"] += remove(connection, texts, texts.c.id, _only_of(connection, written))
    add_tallies(store, connection, {key: -n for key, n in deltas.items()})
    return gone


def _only_of(connection: Connection, ids: Collection[str | None]) -> list[str]:
    """Return those of the texts that no prediction has: they go with it."""
    wanted = sorted(one for one in ids if one is not None)
    there = set(connection.scalars(select(predictions.c.id).where(predictions.c.id.in_(wanted))))
    return [one for one in wanted if one not in there]


def clear_predictions(_: Store, connection: Connection, ids: Collection[str]) -> Counter[str]:
    """Take out predictions with their texts and what was reported of them, and out of the traffic."""
    rows = connection.execute(
        select(predictions).where(predictions.c.id.in_(ids)).order_by(predictions.c.id).with_for_update()
    ).all()
    sums: defaultdict[tuple[str, str, str, datetime], list[float]] = defaultdict(lambda: [0, 0.0, 0])
    for row in rows:
        counters = sums[row.task, row.version, row.label, hour_of(row.created_at)]
        counters[0] -= 1
        counters[1] -= counted_share(row.inclusion)
        counters[2] -= row.reason in AUTOMATIC
    gone = _clear_reports(connection, reports.c.prediction_id, ids)
    gone["texts"] += remove(connection, texts, texts.c.id, ids)
    gone["predictions"] = remove(connection, predictions, predictions.c.id, ids)
    if sums:
        add_traffic(connection, sums)
    for task, version, label, hour in sorted(sums):
        t = traffic.c
        same = (t.task == task, t.version == version, t.stratum == label, t.hour == hour)
        connection.execute(delete(traffic).where(*same, t.predictions == 0))
    return gone


def clear_texts(_: Store, connection: Connection, ids: Collection[str]) -> Counter[str]:
    """Take out texts that are left, and the reports that brought them."""
    gone = _clear_reports(connection, reports.c.text_id, ids)
    gone["texts"] += remove(connection, texts, texts.c.id, ids)
    return gone


def _clear_reports(connection: Connection, by: Column[str], ids: Collection[str]) -> Counter[str]:
    """Take out reports with their comments; their texts are items' texts, or go by themselves."""
    comments = connection.scalars(select(reports.c.comment_id).where(by.in_(ids), reports.c.comment_id.is_not(None)))
    commented = list(comments)
    return Counter(
        {
            "reports": remove(connection, reports, by, ids),
            "texts": remove(connection, texts, texts.c.id, commented),
        }
    )


def remove(connection: Connection, table: Table, by: Column[str], ids: Collection[str]) -> int:
    """Delete the rows of `table` whose `by` is one of `ids`; return how many."""
    return connection.execute(delete(table).where(by.in_(ids))).rowcount if ids else 0
