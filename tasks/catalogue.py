"""Where tasks are found: those that come with Regrade, and the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import TaskError
from core.settings import Settings
from tasks.declaration import Task, read_task

STARTERS = Path(__file__).parent
"""Folder of the tasks that come with Regrade."""


@dataclass(frozen=True)
class TaskFolder:
    """A declared task and the folder its files lie in."""

    task: Task
    folder: Path

    @property
    def train_file(self) -> Path:
        """Base data: rows that may train."""
        return self.folder / "train.csv"

    @property
    def gold_file(self) -> Path:
        """Gold set: held-out rows that test models and never train."""
        return self.folder / "gold.csv"

    @property
    def guideline(self) -> str:
        """The annotators' guideline as Markdown; empty where the task has none."""
        path = self.folder / "guideline.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def find_tasks(settings: Settings) -> dict[str, TaskFolder]:
    """Return the chosen tasks by name; an own task replaces a starter of the same name.

    Raises:
        TaskError: a declaration is wrong, or `REGRADE_TASKS` names a task that does not exist.
    """
    found = {}
    for root in (STARTERS, settings.own_tasks):
        for path in sorted(root.glob("*/task.toml")):
            found[path.parent.name] = TaskFolder(read_task(path.parent), path.parent)
    unknown = [name for name in settings.tasks if name not in found]
    if unknown:
        raise TaskError(f"REGRADE_TASKS names {', '.join(unknown)}; found only: {', '.join(found) or 'none'}")
    return {name: found[name] for name in settings.tasks or found}


def find_task(settings: Settings, name: str) -> TaskFolder:
    """Return one task by name, whether or not `REGRADE_TASKS` serves it.

    Raises:
        TaskError: there is no such task; the message lists those that exist.
    """
    everything = find_tasks(settings.model_copy(update={"tasks": ()}))
    if name not in everything:
        raise TaskError(
            f"no task {name!r}; found: {', '.join(everything) or 'none'}. "
            f"Make one with `regrade task new {name} --data FILE`"
        )
    return everything[name]
