"""The rows of an erasure: what refers to the texts that go, and what becomes of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, delete, or_, select, update

from feedback.leases import NO_LEASE
from feedback.schema import answers, items, predictions, replies, reports, slots, texts
from feedback.store import Store
from feedback.tallies import add_tallies

_BATCH = 5_000
"""Ids in one statement at most."""

_REPLIES = 200
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_NOTHING: dict[str, object] = {
    "suggestions": [],
    "cluster": "",
    "text_sha256": "",
    "check_value": None,
    "open_key": None,
}


@dataclass(frozen=True)
class _Touched:
    """Items whose text goes: those with the text of a copy that stays (`kept`, item → text), and those without."""

    kept: dict[str, str]
    gone: set[str]


def erase_rows(store: Store, connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """Delete the texts `ids` and everything that was written about them; return how many rows of each kind changed.

    An item whose text goes shows that of an exact copy that stays, where a prediction or report of it holds one;
    otherwise it is `erased`: nobody is asked any more.
    """
    touched = _touch_items(store, connection, set(ids))
    gone = {*ids, *_written_about(connection, set(ids), touched.gone)}
    _forget_comments(connection, gone)
    counts = {
        "texts": _change(connection, texts, texts.c.id, gone, None),
        "predictions": _change(connection, predictions, predictions.c.id, ids, {"metadata": None, "spans": None}),
        "reports": _forget_reports(connection, ids),
        "items": len(touched.gone),
        "items_kept": len(touched.kept),
        "replies": _drop_replies(connection, {*ids, *touched.gone, *touched.kept}),
    }
    _count_gone(store, connection, touched.gone)
    return counts


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield `ids` in order, as many at a time as one statement takes: everybody locks rows in the same order."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _change(
    connection: Connection, table: Table, column: Column[str], ids: Iterable[str], values: dict[str, object] | None
) -> int:
    """Set `values` in the rows of `table` whose `column` is one of `ids`, or delete them; return how many."""
    statement = delete(table) if values is None else update(table).values(values)
    return sum(connection.execute(statement.where(column.in_(some))).rowcount for some in chunks(ids))


def _column(connection: Connection, wanted: Column[str], by: Column[str], ids: Iterable[str]) -> set[str]:
    """Return the values of `wanted`, without nulls, in rows whose `by` is one of `ids`."""
    found = (connection.scalars(select(wanted).where(by.in_(some))) for some in chunks(ids))
    return {value for values in found for value in values if value is not None}


def _touch_items(store: Store, connection: Connection, ids: set[str]) -> _Touched:
    mine = _column(connection, items.c.id, items.c.text_id, ids)
    if not store.is_sqlite:
        for some in chunks(mine):
            connection.execute(select(items.c.id).where(items.c.id.in_(some)).order_by(items.c.id).with_for_update())
    kept = _copies(connection, mine, ids)
    for item, text in sorted(kept.items()):
        connection.execute(update(items).where(items.c.id == item).values(text_id=text))
    return _Touched(kept, mine - kept.keys())


def _copies(connection: Connection, mine: set[str], ids: set[str]) -> dict[str, str]:
    """Return a text that stays for each item that has one: of another prediction or report of it, or a merged copy."""
    found: dict[str, str] = {}
    for text_id, by in (
        (predictions.c.id, predictions.c.item_id),
        (reports.c.text_id, reports.c.item_id),
        (items.c.text_id, items.c.same_as),
    ):
        for some in chunks(mine):
            there = select(by, text_id).where(by.in_(some), text_id.in_(select(texts.c.id)))
            found |= {item: text for item, text in connection.execute(there) if text not in ids}
    merged = select(items.c.id, items.c.same_as).where(items.c.same_as.is_not(None))
    for some in chunks(mine):
        for item, whole in connection.execute(merged.where(items.c.id.in_(some))):
            text = found.get(whole) or _text_of(connection, whole)
            if text is not None and text not in ids:
                found[item] = text
    return found


def _text_of(connection: Connection, item: str) -> str | None:
    there = select(items.c.text_id).where(items.c.id == item, items.c.text_id.in_(select(texts.c.id)))
    return connection.execute(there).scalar_one_or_none()


def _written_about(connection: Connection, ids: set[str], gone: set[str]) -> set[str]:
    """Return the texts of comments and proposed labels in answers to items that are gone, and in reports."""
    found = _column(connection, answers.c.comment_id, answers.c.item_id, gone)
    found |= _column(connection, answers.c.proposed_id, answers.c.item_id, gone)
    for by in (reports.c.prediction_id, reports.c.text_id):
        found |= _column(connection, reports.c.comment_id, by, ids)
    return found


def _forget_comments(connection: Connection, gone: set[str]) -> None:
    for column in (answers.c.comment_id, answers.c.proposed_id):
        _change(connection, answers, column, gone, {column.name: None})
    _change(connection, reports, reports.c.comment_id, gone, {"comment_id": None})


def _forget_reports(connection: Connection, ids: Collection[str]) -> int:
    nothing: dict[str, object] = {"text_id": None, "comment_id": None, "source": None}
    count = 0
    for some in chunks(ids):
        about = or_(reports.c.prediction_id.in_(some), reports.c.text_id.in_(some))
        count += connection.execute(update(reports).where(about).values(nothing)).rowcount
    return count


def _count_gone(store: Store, connection: Connection, gone: set[str]) -> None:
    """Close what was asked of erased items, and take them out of the counts."""
    deltas: defaultdict[tuple[str, str], int] = defaultdict(int)
    for some in chunks(gone):
        asked = slots.c.state.in_(("free", "leased"))
        connection.execute(update(slots).where(slots.c.item_id.in_(some), asked).values(state="closed", **NO_LEASE))
        for task, state, reason in connection.execute(
            select(items.c.task, items.c.state, items.c.reason).where(items.c.id.in_(some))
        ):
            if state in {"open", "resolved"}:
                deltas[task, f"items.{state}.{reason}"] -= 1
        connection.execute(update(items).where(items.c.id.in_(some)).values(state="erased", **_NOTHING))
    add_tallies(store, connection, deltas)


def _drop_replies(connection: Connection, ids: set[str]) -> int:
    """Delete the kept replies that name one of `ids`: what shows an item's text names the item."""
    found = list(replies_naming(connection, ids))
    for start in range(0, len(found), _REPLIES):
        connection.execute(delete(replies).where(replies.c.id.in_(found[start : start + _REPLIES])))
    return len(found)


def replies_naming(connection: Connection, ids: Collection[str]) -> Iterator[int]:
    """Yield the kept replies, by their ids, that name one of `ids`."""
    named = {identifier.encode() for identifier in ids}
    last = 0
    page = select(replies.c.id, replies.c.reply).where(replies.c.reply.is_not(None)).order_by(replies.c.id)
    while rows := connection.execute(page.where(replies.c.id > last).limit(_REPLIES)).all():
        last = rows[-1].id
        yield from (row.id for row in rows if not named.isdisjoint(_ID.findall(row.reply)))
