"""The reviewed items of a task as training sees them: text, final label, and who said so about which prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from feedback.conditions import HOLDS
from feedback.demo import is_real
from feedback.facts import Quality, Value
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, read_maps
from feedback.quality import read_quality
from feedback.schema import answers, items, predictions, resolutions, snapshot_items, texts
from feedback.snapshots import newest_erasure
from feedback.store import Store
from tasks.declaration import Task

_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Word:
    """What one annotator said of an item, in today's labels (None: that is uncertain), and when."""

    answer_id: str
    annotator: str
    value: Value | None
    said_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """An item that people have resolved.

    `value` and `posterior`, `(value, probability)` pairs, are in today's labels; `value` is None where that is
    uncertain, and then `posterior` is empty. `words` are the answers it rests on. `revision` is the one it was resolved
    under. `prediction_id` and `model_version` are those of its first prediction, None for a text that was brought.
    `used_in` is the number of the first snapshot that used the resolution, None while none has.
    """

    resolution_id: str
    item_id: str
    round: int
    reason: str
    text: str
    subject: str | None
    language: str | None
    value: Value | None
    posterior: tuple[tuple[Value, float], ...]
    words: tuple[Word, ...]
    revision: int
    prediction_id: str | None
    model_version: str | None
    used_in: int | None
    resolved_at: datetime


@dataclass(frozen=True)
class Reviews:
    """The resolved `items` of a task that may train, the oldest resolution first, and the `quality` of who answered.

    `erasure` is the newest erasure at the time.
    """

    items: list[ReviewedItem]
    quality: dict[str, Quality]
    erasure: str | None


def read_reviews(store: Store, task: Task) -> Reviews:
    """Return what people have resolved of `task`.

    Audits are left out, because they measure; so are check items, which are never resolved, demo data and erased texts.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        erasure = newest_erasure(connection)  # first: what is erased later is found by it
        maps = read_maps(connection, task)
        found = [item for page in _pages(connection, task.name) for item in _items(connection, page, maps)]
        people = {word.annotator for item in found for word in item.words}
        return Reviews(found, read_quality(connection, task.name, people), erasure)


def _pages(connection: Connection, task: str) -> Iterator[Sequence[Row[Any]]]:
    last = ""
    while rows := connection.execute(_resolved(task).where(resolutions.c.id > last).limit(_PAGE)).all():
        yield rows
        last = rows[-1].id


def _resolved(task: str) -> Select[Any]:
    return (
        select(resolutions, items.c.reason, items.c.language, texts.c.content, texts.c.subject)
        .add_columns(snapshot_items.c.number.label("used_in"))
        .join(items, HOLDS)
        .join(texts, texts.c.id == items.c.text_id)
        .outerjoin(snapshot_items, snapshot_items.c.resolution_id == resolutions.c.id)
        .where(resolutions.c.task == task, items.c.state == "resolved", items.c.reason != "audit")
        .where(is_real(items.c.language))
        .order_by(resolutions.c.id)
    )


def _items(connection: Connection, rows: Sequence[Row[Any]], maps: Mapping[int, Mapped]) -> Iterator[ReviewedItem]:
    said = _answers(connection, (one for row in rows for one in row.answer_ids))
    predicted = _first_predictions(connection, [row.item_id for row in rows])
    for row in rows:
        labels, first = maps.get(row.revision), predicted.get(row.item_id)
        yield ReviewedItem(
            resolution_id=row.id,
            item_id=row.item_id,
            round=row.round,
            reason=row.reason,
            text=row.content,
            subject=row.subject,
            language=row.language,
            value=(value := mapped(loaded(row.value), labels)),
            posterior=() if value is None else _posterior(row.posterior, labels),
            words=tuple(_word(said[one], maps) for one in row.answer_ids if one in said),
            revision=row.revision,
            prediction_id=first.id if first else None,
            model_version=first.version if first else None,
            used_in=row.used_in,
            resolved_at=row.created_at,
        )


def _answers(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    columns = (answers.c.id, answers.c.annotator, answers.c.value, answers.c.revision, answers.c.created_at)
    wanted, found = sorted(ids), dict[str, Row[Any]]()
    for start in range(0, len(wanted), _PAGE):
        some = select(*columns).where(answers.c.id.in_(wanted[start : start + _PAGE]))
        found |= {row.id: row for row in connection.execute(some)}
    return found


def _first_predictions(connection: Connection, item_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Return the first prediction of each item that has one: of copies there may be any number."""
    first = (
        select(func.min(predictions.c.id)).where(predictions.c.item_id.in_(item_ids)).group_by(predictions.c.item_id)
    )
    wanted = select(predictions.c.id, predictions.c.item_id, predictions.c.version).where(predictions.c.id.in_(first))
    found: dict[str, Any] = {row.item_id: row for row in connection.execute(wanted)}
    return found


def _word(row: Row[Any], maps: Mapping[int, Mapped]) -> Word:
    value = None if row.value is None else mapped(loaded(row.value), maps.get(row.revision))
    return Word(row.id, row.annotator, value, row.created_at)


def _posterior(pairs: Sequence[Any], labels: Mapped | None) -> tuple[tuple[Value, float], ...]:
    """Return the pairs in today's labels, those that became one label added up, without what is uncertain."""
    sums: dict[Value, float] = {}
    for stored, chance in pairs:
        value = mapped(loaded(stored), labels)
        if value is not None:
            sums[value] = sums.get(value, 0.0) + float(chance)
    return tuple(sums.items())
