"""Taking demo data out of the store again: every row of it, its part of every count, and nothing else.

Nothing real refers to demo data but what is about it (a real person's answer to a demo item, a real report of a demo
prediction), and that goes with it. Work is done in small transactions, each of which takes rows out together with their
part of the counts, so that the service goes on, and a clearing that was cut short is simply done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, delete, select

from core.demo import DEMO_LANGUAGE, DEMO_PEOPLE, DEMO_SUBJECT
from core.roles import Caller
from feedback import audit
from feedback.clashes import write_again
from feedback.demo import is_demo
from feedback.demo_rows import clear_items, clear_predictions, clear_texts, remove
from feedback.erased_rows import replies_naming
from feedback.schema import annotators, items, keys, predictions, replies, sessions, summaries, tallies, texts
from feedback.spool import Spool
from feedback.store import Store

_BATCH = 200
"""Items or predictions taken out in one transaction: others who write wait for it."""

Advance = Callable[[int], None]


def clear_demo(store: Store, spool: Spool, caller: Caller, advance: Advance = lambda _: None) -> dict[str, int]:
    """Take all demo data out of `store` and of this host's `spool`; return how many rows went, by table.

    `advance` is told of each transaction how many items or predictions it took out. What the service is about to write
    (predictions are written within 2 s) comes after it: call it again then, until nothing goes any more. The audit log
    keeps what was done, and says that demo data was cleared.

    Raises:
        UnavailableError: the store is away; do it again.
    """
    gone = _drop_spooled(store, spool)
    gone += _drop_replies(store)
    for wanted, clear in ((_items(), clear_items), (_predictions(), clear_predictions), (_texts(), clear_texts)):
        while batch := _next(store, wanted):
            gone += write_again(store, partial(clear, store, ids=batch))
            advance(len(batch))
    gone += write_again(store, _clear_people)
    counts = {name: n for name, n in sorted(gone.items()) if n}
    if counts:
        _tidy(store)
        with store.write() as connection:
            audit.note(connection, caller, "demo.clear", DEMO_SUBJECT, **counts)
    return counts


def _items() -> Select[tuple[str]]:
    return select(items.c.id).where(is_demo(items.c.language)).order_by(items.c.id)


def _predictions() -> Select[tuple[str]]:
    return select(predictions.c.id).where(is_demo(predictions.c.language)).order_by(predictions.c.id)


def _texts() -> Select[tuple[str]]:
    """Select the demo texts that neither an item nor a prediction shows."""
    shown = select(items.c.id).where(items.c.text_id == texts.c.id).exists()
    said = select(predictions.c.id).where(predictions.c.id == texts.c.id).exists()
    return select(texts.c.id).where(texts.c.subject == DEMO_SUBJECT, ~shown, ~said).order_by(texts.c.id)


def _next(store: Store, wanted: Select[tuple[str]]) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(wanted.limit(_BATCH)))


def _drop_spooled(store: Store, spool: Spool) -> Counter[str]:
    """Drop demo facts that wait in the spool, and all reports of demo predictions, which come after them."""
    with store.read() as connection:
        known = set(connection.scalars(_predictions()))

    def unwanted(_: str, fact: Mapping[str, Any]) -> bool:
        text = fact.get("text") or {}
        marked = text.get("subject") == DEMO_SUBJECT or fact.get("language") == DEMO_LANGUAGE
        found = marked or fact.get("prediction_id") in known
        if found:
            known.add(fact["id"])
        return found

    return Counter({"spooled": spool.drop(unwanted)})


def _drop_replies(store: Store) -> Counter[str]:
    """Delete the replies kept for idempotency keys that name a demo item or prediction: they show texts."""
    with store.read() as connection:
        named: set[str] = set()
        for wanted in (_items(), _predictions()):
            named.update(connection.scalars(wanted))
        found = list(replies_naming(connection, named)) if named else []
    for some in _batches(found):
        with store.write() as connection:
            connection.execute(delete(replies).where(replies.c.id.in_(some)))
    return Counter({"replies": len(found)})


def _batches(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]


def _clear_people(connection: Connection) -> Counter[str]:
    """Take out what is known of the demo's people, and their keys, unless nobody else ever had one.

    A store without any key is open to whoever is at the machine, and clearing a demo must not do that.
    """
    theirs = keys.c.person.in_(DEMO_PEOPLE)
    gone = Counter({"annotators": remove(connection, annotators, annotators.c.person, DEMO_PEOPLE)})
    gone["sessions"] = remove(connection, sessions, sessions.c.person, DEMO_PEOPLE)
    if connection.execute(select(keys.c.id).where(~theirs).limit(1)).first() is not None:
        gone["keys"] = remove(connection, keys, keys.c.person, DEMO_PEOPLE)
    return gone


def _tidy(store: Store) -> None:
    """Drop counts that are nothing again, and figures that were worked out with demo data."""
    nothing = select(tallies.c.task, tallies.c.name, tallies.c.shard).where(tallies.c.n == 0)
    with store.write() as connection:
        for row in connection.execute(nothing.with_for_update(skip_locked=True)).all():
            same = (tallies.c.task == row.task, tallies.c.name == row.name, tallies.c.shard == row.shard)
            connection.execute(delete(tallies).where(*same, tallies.c.n == 0))
        connection.execute(delete(summaries))
