"""The resolved texts of a task that are most alike to one, and those that were resolved as a label.

Each worker keeps the features of the latest resolved items in memory, never their texts: whatever is shown is read
anew, so that an erased text or a resolution taken back is not shown, however old the window is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, func, select

from core.ids import first_id, id_moment
from core.text import text_hash
from feedback.conditions import HOLDS
from feedback.facts import Value
from feedback.items import loaded
from feedback.likeness import Collection, Features, features_of
from feedback.mappings import Mapped, mapped, read_maps
from feedback.schema import erasures, items, resolutions, texts
from feedback.store import Store
from tasks.declaration import Task

WINDOW = 4_000
"""Resolved items that are compared with, the latest ones."""

REFRESH_S = 3.0
"""Seconds for which the window is taken as it is."""

_MOST_FEATURES = 2_000_000
"""Features in a window at most, 16 MB: of very long texts it holds fewer."""

_LATE = timedelta(seconds=30)
"""Resolutions made so shortly before the last one seen may have been committed after it, and are looked for again."""

_LEAST_LIKENESS = 0.1
_LOOKED_AT = 5
"""Candidates a text wanted: some are copies of each other, or not resolved any more."""

_COLUMNS = (resolutions.c.id, resolutions.c.item_id, resolutions.c.value, resolutions.c.revision)
_JOINED = items.join(resolutions, resolutions.c.id == items.c.resolution_id).join(texts, texts.c.id == items.c.text_id)
_NEWEST = (
    select(*_COLUMNS, texts.c.content)
    .select_from(resolutions)
    .join(items, HOLDS)
    .join(texts, texts.c.id == items.c.text_id)
    .where(resolutions.c.task == bindparam("of"), resolutions.c.id >= bindparam("since"))
    .order_by(resolutions.c.id.desc())
    .limit(WINDOW)
)
_SHOWN = (
    select(*_COLUMNS)
    .add_columns(items.c.resolved_at, items.c.text_sha256, texts.c.content)
    .select_from(_JOINED)
    .where(items.c.id.in_(bindparam("ids", expanding=True)), items.c.state == "resolved")
)
_ERASURES = select(func.count()).select_from(erasures)


@dataclass(frozen=True, slots=True)
class ResolvedText:
    """A text that people resolved as `value`; `likeness`, 0 to 1, where it was compared with another."""

    item_id: str
    text: str
    value: Value
    likeness: float
    resolved_at: datetime


@dataclass(frozen=True, slots=True)
class _Entry:
    """A resolved item of the window, without its text; `value` is as of the present revision, None if uncertain."""

    resolution_id: str
    item_id: str
    value: Value | None
    features: Features


class ResolvedTexts:
    """The latest resolved texts of one task revision; safe to share between threads.

    One of them at a time reads what is new, every few seconds at most, and the others use what there is.
    """

    def __init__(self, store: Store, task: Task, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare to look at `task` in `store`; nothing is read yet. `clock` counts seconds."""
        self._store = store
        self._task = task
        self._clock = clock
        self._turn = threading.Lock()
        self._fresh_until = float("-inf")
        self._known: tuple[Sequence[_Entry], Collection] | None = None
        self._erasures = 0

    def similar(self, text: str, count: int) -> list[ResolvedText]:
        """Return up to `count` resolved texts that are most alike to `text`, without exact copies of it.

        Raises:
            UnavailableError: the store is away.
        """
        entries, collection = self._window()
        likeness = collection.likeness(features_of(text))
        best = np.argsort(-likeness, kind="stable")[: count * _LOOKED_AT]
        chosen = {entries[place].item_id: float(likeness[place]) for place in best}
        alike = {item: chance for item, chance in chosen.items() if chance >= _LEAST_LIKENESS}
        return self._read(alike, count, text_hash(text))

    def labelled(self, value: Value, count: int) -> list[ResolvedText]:
        """Return up to `count` texts resolved as `value` (or, a label's id, as a set with it), the latest first.

        Raises:
            UnavailableError: the store is away.
        """
        entries, _ = self._window()
        found = [one.item_id for one in reversed(entries) if _says(one.value, value)]
        shown = self._read(dict.fromkeys(found[: count * _LOOKED_AT], 1.0), count * _LOOKED_AT, "")
        return [one for one in shown if _says(one.value, value)][:count]

    def _window(self) -> tuple[Sequence[_Entry], Collection]:
        """Return the entries, oldest first, and their features as a collection, a few seconds old at most."""
        known = self._known
        if self._turn.acquire(blocking=known is None):
            try:
                if self._clock() >= self._fresh_until:
                    self._known = self._refreshed(self._known)
                    self._fresh_until = self._clock() + REFRESH_S
                known = self._known
            finally:
                self._turn.release()
        return known or ((), Collection([]))

    def _refreshed(self, known: tuple[Sequence[_Entry], Collection] | None) -> tuple[Sequence[_Entry], Collection]:
        """Read what was resolved since, or all anew where a text was erased: nothing of it may stay."""
        with self._store.read() as connection:
            erased = connection.execute(_ERASURES).scalar_one()
            if known is None or erased != self._erasures:
                known = (), Collection([])
            entries, _ = known
            new = self._new(connection, entries)
        self._erasures = erased
        if not new:
            return known
        entries = _bounded([*entries, *new][-WINDOW:])
        return entries, Collection([one.features for one in entries])

    def _new(self, connection: Connection, entries: Sequence[_Entry]) -> list[_Entry]:
        """Return what was resolved since the last of `entries`, oldest first."""
        since = first_id(id_moment(entries[-1].resolution_id) - _LATE) if entries else ""
        rows = connection.execute(_NEWEST, {"of": self._task.name, "since": since}).all()
        known = {one.resolution_id for one in entries}
        fresh = [row for row in reversed(rows) if row.id not in known]
        maps = self._maps(connection, fresh)
        return [_Entry(row.id, row.item_id, _value(row, maps), features_of(row.content)) for row in fresh]

    def _read(self, wanted: dict[str, float], count: int, left_out: str) -> list[ResolvedText]:
        """Return the items of `wanted` (id → likeness) that are resolved now, in that order, each text once."""
        if not wanted:
            return []
        with self._store.read() as connection:
            rows = {row.item_id: row for row in connection.execute(_SHOWN, {"ids": list(wanted)})}
            maps = self._maps(connection, rows.values())
        met, found = {left_out}, []
        for item, likeness in wanted.items():
            row = rows.get(item)
            value = _value(row, maps) if row is not None else None
            if row is None or value is None or row.text_sha256 in met:
                continue
            met.add(row.text_sha256)
            found.append(ResolvedText(item, row.content, value, likeness, row.resolved_at))
        return found[:count]

    def _maps(self, connection: Connection, rows: Iterable[Row[Any]]) -> Mapping[int, Mapped]:
        earlier = any(row.revision != self._task.revision for row in rows)
        return read_maps(connection, self._task) if earlier else {}


def _value(row: Row[Any], maps: Mapping[int, Mapped]) -> Value | None:
    return mapped(loaded(row.value), maps.get(row.revision))


def _says(value: Value | None, wanted: Value) -> bool:
    return value == wanted or (isinstance(value, tuple) and wanted in value)


def _bounded(entries: Sequence[_Entry]) -> Sequence[_Entry]:
    """Return the latest entries, oldest first, that have no more features together than a window may have."""
    kept: list[_Entry] = []
    room = _MOST_FEATURES
    for one in reversed(entries):
        room -= len(one.features.places)
        if room < 0:
            break
        kept.append(one)
    return kept[::-1]
