"""Which tasks a demo plays, and with which messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DataError, NotFoundError, UnavailableError
from regrade.demo.messages import Message, read_messages, starter_messages
from regrade.output import report_faults, warn

if TYPE_CHECKING:
    from core.settings import Settings
    from tasks.declaration import Task

_HOW = "give a file with the columns text and label: `regrade demo --task TASK --texts FILE`"


@dataclass(frozen=True)
class Played:
    """A task that is played: its name, its labels, and its messages, varied if `vary` says so."""

    name: str
    labels: Sequence[str]
    messages: Sequence[Message]
    vary: bool


def chosen_tasks(settings: Settings, names: Sequence[str], texts: Path | None) -> list[Played]:
    """Return the tasks `names` with their messages, or every served one that has some; `texts` is a file of one's own.

    Raises:
        TaskError: there is no such task.
        NotFoundError: a task has no messages, or none of them has.
        DataError: `texts` cannot be used, or is not for exactly one task of one label a text.
    """
    from tasks.catalogue import find_task, find_tasks

    if texts is not None:
        if len(names) != 1:
            raise DataError(f"{texts} has the messages of one task; name it with --task")
        return [_with_messages(settings, find_task(settings, names[0]).task, texts, vary=False)]
    if names:
        tasks = [find_task(settings, name).task for name in names]
    else:
        tasks = [folder.task for folder in find_tasks(settings).values() if starter_messages(folder.task.name)]
        if not tasks:
            raise NotFoundError(f"there are demo messages for none of the served tasks; {_HOW}")
    chosen = []
    for task in tasks:
        file = starter_messages(task.name)
        if file is None:
            raise NotFoundError(f"there are no demo messages for the task {task.name!r}; {_HOW}")
        chosen.append(_with_messages(settings, task, file, vary=True))
    return chosen


def _with_messages(settings: Settings, task: Task, file: Path, *, vary: bool) -> Played:
    if task.kind != "single_label":
        raise DataError(f"the task {task.name!r} has several labels a text; a demo plays tasks with one")
    messages, faults = read_messages(file, task.label_names)
    report_faults(faults, str(file), settings.reports / f"{task.name}-demo.txt")
    if not messages:
        raise DataError(f"{file} has no usable message for the task {task.name!r}; {_HOW}")
    return Played(task.name, task.label_names, messages, vary)


def ready_tasks(chosen: Sequence[Played], served: Sequence[Mapping[str, Any]]) -> list[Played]:
    """Return those of `chosen` that are `served` (as `GET /v1/tasks` tells) by a live model, and warn of the others.

    Raises:
        UnavailableError: none is.
    """
    live = {task["name"] for task in served if task["live_version"] is not None}
    ready = [one for one in chosen if one.name in live]
    missing = ", ".join(one.name for one in chosen if one.name not in live)
    if not ready:
        raise UnavailableError(f"the service has no live model for {missing}; train one with `regrade train TASK`")
    if missing:
        warn(f"left out, because the service has no live model for it: {missing}")
    return ready
