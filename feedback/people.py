"""Everybody who has a key or has answered, and what is known of them, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, func, select, union_all

from core.ids import first_id, id_moment
from feedback.keys import Key, key_of
from feedback.schema import annotators, answers, keys
from feedback.store import Store

LATELY = timedelta(days=30)
"""What counts as lately."""

MOST_COUNTED = 1_000
"""Answers of a person and task that are counted at most: counting more would take the longer, the more there are."""

_MOST_KEYS = 20


@dataclass(frozen=True)
class Work:
    """What is known of a person's work in a task.

    `answers` were given lately, `MOST_COUNTED` at most. Of `checks` check items, `right` were answered rightly.
    `weight`, 0 to 1, is what an answer is worth, None where nothing is known; it counts only if `trusted`.
    """

    task: str
    answers: int
    last_answer_at: datetime | None
    checks: int
    right: int
    weight: float | None
    trusted: bool

    @property
    def accuracy(self) -> float | None:
        """The share of check items answered rightly, None without any."""
        return self.right / self.checks if self.checks else None


@dataclass(frozen=True)
class Person:
    """Somebody with their keys, newest first and 20 at most, and their work by task."""

    name: str
    keys: tuple[Key, ...]
    work: tuple[Work, ...]

    @property
    def last_used_at(self) -> datetime | None:
        """When one of the keys was used last, exact to about a minute."""
        return max((key.last_used_at for key in self.keys if key.last_used_at), default=None)


def list_people(store: Store, tasks: Sequence[str], *, after: str = "", limit: int = 30) -> list[Person]:
    """Return up to `limit` people whose names follow `after`, in order, with what they did in `tasks`.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        since = first_id(store.now(connection) - LATELY)
        names = list(_names(connection, tasks, after, limit))
        return [
            Person(name, _keys_of(connection, name), tuple(_work_of(connection, name, tasks, since))) for name in names
        ]


def _names(connection: Connection, tasks: Sequence[str], after: str, limit: int) -> Iterator[str]:
    """Step from one name to the next: each step is a look at an index or two a task, however many rows there are."""
    name = after
    for _ in range(limit):
        sources = [select(func.min(keys.c.person).label("person")).where(keys.c.person > name)]
        for task in tasks:
            for table, person in ((annotators, annotators.c.person), (answers, answers.c.annotator)):
                sources.append(select(func.min(person)).where(table.c.task == task, person > name))
        each = union_all(*sources).subquery()
        found: str | None = connection.execute(select(func.min(each.c.person))).scalar_one()
        if found is None:
            return
        name = found
        yield name


def _keys_of(connection: Connection, name: str) -> tuple[Key, ...]:
    wanted = select(keys).where(keys.c.person == name).order_by(keys.c.id.desc()).limit(_MOST_KEYS)
    return tuple(key_of(row) for row in connection.execute(wanted))


def _work_of(connection: Connection, name: str, tasks: Sequence[str], since: str) -> Iterator[Work]:
    mine = annotators.c.task.in_(tasks) & (annotators.c.person == name)
    known = {row.task: row for row in connection.execute(select(annotators).where(mine))}
    for task in tasks:
        own = (answers.c.task == task) & (answers.c.annotator == name)
        last: str | None = connection.execute(select(func.max(answers.c.id)).where(own)).scalar_one()
        if last is None and task not in known:
            continue
        recent = select(answers.c.id).where(own, answers.c.id >= since).limit(MOST_COUNTED).subquery()
        counted = connection.execute(select(func.count()).select_from(recent)).scalar_one()
        yield _work(task, counted, last, known.get(task))


def _work(task: str, counted: int, last: str | None, row: Row[tuple[object, ...]] | None) -> Work:
    last_at = id_moment(last) if last else None
    if row is None:
        return Work(task, counted, last_at, 0, 0, None, trusted=True)
    return Work(task, counted, last_at, row.checks, row.right, row.weight, row.trusted)
