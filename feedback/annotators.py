"""What is known of a task's annotators, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from core.ids import first_id
from feedback.quality import value_of_key
from feedback.schema import annotators, answers
from feedback.store import Store
from feedback.values import label_names
from tasks.declaration import Task

_REPORTED_DAYS = 30


@dataclass(frozen=True)
class AnnotatorReport:
    """One annotator of a task.

    `answers` were given in the last 30 days. Of `checks` check items, `right` were answered rightly; `accuracy` is the
    share, None without any. `weight`, 0 to 1, is what an answer is worth; it counts only if `trusted`. `confusion` is
    `{known label: {given label: number}}` over check items; `""` is a label that does not belong to a set.
    """

    person: str
    answers: int
    checks: int
    right: int
    accuracy: float | None
    weight: float | None
    trusted: bool
    confusion: dict[str, dict[str, int]]
    updated_at: datetime | None


def annotator_report(store: Store, task: Task) -> list[AnnotatorReport]:
    """Return everybody who has answered an item of `task` lately, or a check item ever, by name."""
    since = first_id(datetime.now(UTC) - timedelta(days=_REPORTED_DAYS))
    with store.read() as connection:
        names = label_names(connection, task.name) | {label.id: label.name for label in task.labels}
        known = {
            row.person: row for row in connection.execute(select(annotators).where(annotators.c.task == task.name))
        }
        given = {person: _count_answers(connection, task.name, person, since) for person in _people(connection, task)}
    people = sorted({person for person, n in given.items() if n} | set(known))
    return [_report(person, given.get(person, 0), known.get(person), names) for person in people]


def _people(connection: Connection, task: Task) -> Iterator[str]:
    """Return who has ever answered, by stepping through the index from one name to the next."""
    person = ""
    wanted = select(func.min(answers.c.annotator)).where(answers.c.task == task.name)
    while found := connection.execute(wanted.where(answers.c.annotator > person)).scalar_one():
        person = found
        yield person


def _count_answers(connection: Connection, task: str, person: str, since: str) -> int:
    mine = (answers.c.task == task) & (answers.c.annotator == person) & (answers.c.id >= since)
    counted: int = connection.execute(select(func.count()).select_from(answers).where(mine)).scalar_one()
    return counted


def _report(person: str, given: int, row: Row[Any] | None, names: Mapping[int, str]) -> AnnotatorReport:
    if row is None:
        return AnnotatorReport(person, given, 0, 0, None, None, True, {}, None)
    confusion = {
        _word(truth, names): {_word(said, names): int(n) for said, n in said_of.items() if n}
        for truth, said_of in row.confusion.items()
        if any(said_of.values())
    }
    accuracy = row.right / row.checks if row.checks else None
    return AnnotatorReport(
        person, given, row.checks, row.right, accuracy, row.weight, row.trusted, confusion, row.updated_at
    )


def _word(key: str, names: Mapping[int, str]) -> str:
    value = value_of_key(key)
    return names.get(value, key) if isinstance(value, int) else key
