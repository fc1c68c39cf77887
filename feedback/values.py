"""What an item is said to be: between the names that people use and the ids that stay through renames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from core.errors import Fault, InvalidError
from feedback.facts import OUTSIDE, Value
from feedback.schema import task_revisions
from tasks.declaration import OUT_OF_SCOPE, Task


def value_of(task: Task, label: str | None, labels: Sequence[str] | None, place: Sequence[str | int] = ()) -> Value:
    """Return what `label`, or `labels` where the task wants several, says; the reserved name is `OUTSIDE`.

    `place` is the path to the object that holds the two, for messages.

    Raises:
        InvalidError: it is the wrong one of the two for the task, or a name is none of its labels.
    """
    if (task.kind == "multi_label") != (labels is not None):
        wrong, right = ("label", "labels") if labels is None else ("labels", "label")
        raise InvalidError([Fault((*place, wrong), f"the task {task.name} wants {right!r} instead of {wrong!r}")])
    ids = {one.name: one.id for one in task.labels}
    if labels is None:
        if label == OUT_OF_SCOPE:
            return OUTSIDE
        return ids[_known(task, str(label), ids, (*place, "label"))]
    return tuple(sorted({ids[_known(task, one, ids, (*place, "labels", index))] for index, one in enumerate(labels)}))


def one_value(task: Task, name: str) -> Value:
    """Return what one label's name, or the reserved name, says in a task of any kind.

    Raises:
        InvalidError: the name is none of its labels.
    """
    if name == OUT_OF_SCOPE:
        return OUTSIDE
    ids = {one.name: one.id for one in task.labels}
    return ids[_known(task, name, ids, ("label",))]


def _known(task: Task, name: str, names: Collection[str], place: tuple[str | int, ...]) -> str:
    if name not in names:
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise InvalidError([Fault(place, f"{shown!r} is no label of {task.name}; expected one of: {', '.join(names)}")])
    return name


def label_names(connection: Connection, task: str) -> dict[int, str]:
    """Return the name of every label that the task has or had, by id; the latest revision's name wins."""
    wanted = select(task_revisions.c.labels).where(task_revisions.c.task == task).order_by(task_revisions.c.revision)
    return {label["id"]: label["name"] for labels in connection.scalars(wanted) for label in labels}


def in_words(value: Any, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a stored value as `label` and `labels`, the one that does not apply being None.

    `value` is a label's id, a sequence of ids, `OUTSIDE`, or None, where both are None.
    """
    if value is None or value == OUTSIDE:
        return {"label": value, "labels": None}
    if isinstance(value, list | tuple):
        return {"label": None, "labels": [names.get(one, str(one)) for one in value]}
    return {"label": names.get(value, str(value)), "labels": None}
