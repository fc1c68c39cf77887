"""What values that were said under other revisions of a task are today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from feedback.facts import Value
from feedback.schema import task_revisions
from tasks.declaration import Label, Task
from tasks.revisions import map_through

Mapped = Mapping[int, int | None]
"""What each label id of another revision is today; None where that is uncertain."""

_KNOWN = select(task_revisions.c.revision, task_revisions.c.labels).order_by(task_revisions.c.revision)


def read_revisions(connection: Connection, task: str) -> dict[int, list[Label]]:
    """Return the labels of every revision of `task` that is known, in order."""
    found = connection.execute(_KNOWN.where(task_revisions.c.task == task))
    return {row.revision: [Label.model_validate(label) for label in row.labels] for row in found}


def read_maps(connection: Connection, task: Task) -> dict[int, Mapped]:
    """Return, for every other revision that is known, what its label ids are in `task`; see `maps_of`."""
    return maps_of(read_revisions(connection, task.name), task)


def maps_of(known: Mapping[int, Sequence[Label]], task: Task) -> dict[int, Mapped]:
    """Return, for every other revision of those `known`, what its label ids are in `task`.

    Labels of a later revision, which another worker serves already, are the same if their ids are.
    """
    earlier = [revision for revision in known if revision < task.revision]
    maps: dict[int, Mapped] = {
        revision: map_through([*(known[one] for one in earlier[index:]), task.labels])
        for index, revision in enumerate(earlier)
    }
    today = {label.id for label in task.labels}
    for revision in known:
        if revision > task.revision:
            maps[revision] = {label.id: label.id if label.id in today else None for label in known[revision]}
    return maps


def mapped(value: Value, labels: Mapped | None) -> Value | None:
    """Return what a value of an earlier revision is today; None where that is uncertain.

    `labels` is that revision's map, or None for a revision of which nothing is known, or the present one.
    """
    if labels is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return labels.get(value)
    ids = [labels.get(label) for label in value]
    known = [label for label in ids if label is not None]
    return tuple(sorted(set(known))) if len(known) == len(ids) else None


def read_names(connection: Connection, task: Task, revision: int) -> dict[str, int | None]:
    """Return what each label name of `revision` means today; today's own names come first."""
    today: dict[str, int | None] = {label.name: label.id for label in task.labels}
    known = read_revisions(connection, task.name)
    labels = maps_of(known, task).get(revision, {})
    return {label.name: labels.get(label.id) for label in known.get(revision, ())} | today
