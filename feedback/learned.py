"""How good annotators are, learned from resolved items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Row, Select, select

from feedback.aggregation import Floats, Votes, dawid_skene
from feedback.conditions import HOLDS
from feedback.demo import is_real
from feedback.facts import Value
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, read_maps
from feedback.quality import Confusion, key_of, lock_annotator, value_of_key, weight_of, write_annotator
from feedback.schema import annotators, answers, items, resolutions, undoings
from feedback.store import Store
from tasks.declaration import Task

_MOST_ITEMS = 20_000
"""Resolved items that are learned from, the latest."""
_MOST_CELLS = 2_000_000
"""Most votes times labels, and most numbers in all confusions, so that memory stays below some 100 MB: older votes and
people with few answers are left out where there would be more."""
_NEGLIGIBLE = 0.05
"""Expected answers below this are not kept."""

_Named = TypeVar("_Named", str, Value)


@dataclass(frozen=True)
class _Learnable:
    """Answers to resolved items: `votes` are `(item, annotator, value)`, `settled` `(annotator, true value, value)`."""

    votes: list[tuple[str, str, Value]]
    settled: list[tuple[str, Value, Value]]


def refresh_quality(store: Store, task: Task) -> int:
    """Estimate again how good each annotator of `task` is, from resolved items; return how many it says something of.

    Dawid and Skene's model over the answers to the latest 20,000 resolved items that at least two people answered.
    What an expert settled is taken as known, and so are check items; the expert's own answer to it teaches nothing.
    Demo items teach nothing. Housekeeping, to be done every hour or so. Sets of labels teach nothing here: their
    annotators are known by check items alone.
    """
    if task.kind != "single_label":
        return 0
    with store.read() as connection:
        maps = read_maps(connection, task)
        learnable = _learnable(connection.execute(_resolved_answers(task.name)).all(), maps)
        checks = {row.person: row.confusion for row in connection.execute(_checks(task.name))}
    learned = _learn(learnable, checks)
    with store.write() as connection:
        for person in sorted(learned):
            lock_annotator(store, connection, task.name, person)
            mine = (annotators.c.task == task.name) & (annotators.c.person == person)
            row = connection.execute(select(annotators.c.right, annotators.c.checks).where(mine)).first()
            weight = weight_of(row.right if row else 0, row.checks if row else 0, learned[person])
            write_annotator(connection, task.name, person, {"learned": learned[person], "weight": weight})
    return len(learned)


def _checks(task: str) -> Select[Any]:
    return select(annotators.c.person, annotators.c.confusion).where(annotators.c.task == task)


def _resolved_answers(task: str) -> Select[Any]:
    """Select the answers to the latest resolved items, with what was resolved, those of an item together."""
    latest = (
        select(
            resolutions.c.id,
            resolutions.c.item_id,
            resolutions.c.round,
            resolutions.c.method,
            resolutions.c.value,
            resolutions.c.revision,
        )
        .join(items, HOLDS)
        .where(resolutions.c.task == task, is_real(items.c.language))
        .order_by(resolutions.c.id.desc())
        .limit(_MOST_ITEMS)
        .subquery()
    )
    undone = select(undoings.c.answer_id).where(undoings.c.answer_id == answers.c.id).exists()
    return (
        select(
            latest.c.id.label("resolution_id"),
            latest.c.item_id,
            latest.c.method,
            latest.c.value.label("true"),
            latest.c.revision.label("true_in"),
            answers.c.id,
            answers.c.annotator,
            answers.c.value,
            answers.c.revision,
        )
        .join(latest, (answers.c.item_id == latest.c.item_id) & (answers.c.round == latest.c.round))
        .where(answers.c.kind.in_(("label", "out_of_scope")), answers.c.counted != "check", ~undone)
        .order_by(latest.c.item_id, answers.c.id)
    )


def _learnable(rows: Sequence[Row[Any]], maps: Mapping[int, Mapped]) -> _Learnable:
    """Keep items that at least two people answered; of those that an expert settled, the answers before.

    Values are those of today's revision; answers that cannot be mapped with certainty are left out.
    """
    found = _Learnable([], [])
    for item_id, group in groupby(rows, key=lambda row: row.item_id):
        members = list(group)
        true = mapped(loaded(members[0].true), maps.get(members[0].true_in))
        said = [(row, mapped(loaded(row.value), maps.get(row.revision))) for row in members]
        if members[0].method == "expert":
            verdict = max((row.id for row in members if row.id < row.resolution_id), default="")
            found.settled.extend(
                (row.annotator, true, value)
                for row, value in said
                if row.id != verdict and true is not None and value is not None
            )
        elif len(members) > 1:
            found.votes.extend((item_id, row.annotator, value) for row, value in said if value is not None)
    return found


def _learn(learnable: _Learnable, checks: Mapping[str, Confusion]) -> dict[str, Confusion]:
    """Return the expected answers of each annotator by true and given label."""
    votes, settled = learnable.votes, learnable.settled
    labels = _numbered([value for _, _, value in votes] + [value for _, *pair in settled for value in pair])
    votes = votes[-(_MOST_CELLS // max(1, len(labels))) :]
    people = _numbered([who for _, who, _ in votes] + [who for who, _, _ in settled])
    if len(labels) < 2:
        return {}
    kept = dict(list(people.items())[: max(1, _MOST_CELLS // len(labels) ** 2)])
    seen = np.zeros((len(kept), len(labels), len(labels)))
    for who, true, said in settled:
        if who in kept:
            seen[kept[who], labels[true], labels[said]] += 1
    result = dawid_skene(_table(votes, kept, labels), known=seen + _known(checks, kept, labels))
    words = [key_of(value) for value in labels]
    return {who: _as_stored(seen[number] + result.confusion[number], words) for who, number in kept.items()}


def _numbered(values: Iterable[_Named]) -> dict[_Named, int]:
    """Number what occurs, the commonest first."""
    return {value: number for number, (value, _) in enumerate(Counter(values).most_common())}


def _table(votes: Sequence[tuple[str, str, Value]], people: Mapping[str, int], labels: Mapping[Value, int]) -> Votes:
    """Return the votes of `people` in numbers."""
    rows = [row for row in votes if row[1] in people]
    numbers: dict[str, int] = {}
    for item, _, _ in rows:
        numbers.setdefault(item, len(numbers))
    return Votes(
        np.array([numbers[item] for item, _, _ in rows], dtype=np.int64),
        np.array([people[who] for _, who, _ in rows], dtype=np.int64),
        np.array([labels[value] for _, _, value in rows], dtype=np.int64),
        len(numbers),
        len(people),
        len(labels),
    )


def _known(checks: Mapping[str, Confusion], people: Mapping[str, int], labels: Mapping[Value, int]) -> Floats:
    """Return what check items say, in the shape of confusions; labels that no vote names are left out."""
    counts = np.zeros((len(people), len(labels), len(labels)))
    for who, number in people.items():
        for truth, row in checks.get(who, {}).items():
            for said, n in row.items():
                true, given = labels.get(value_of_key(truth)), labels.get(value_of_key(said))
                if true is not None and given is not None:
                    counts[number, true, given] += n
    return counts


def _as_stored(counts: Floats, words: Sequence[str]) -> Confusion:
    """Return `counts` without what is next to nothing."""
    stored: Confusion = {}
    for true, given in np.argwhere(counts >= _NEGLIGIBLE):
        stored.setdefault(words[true], {})[words[given]] = round(float(counts[true, given]), 2)
    return stored
