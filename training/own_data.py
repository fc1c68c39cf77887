"""The user's own data: a task folder made from a file, with a gold part or, for training at once, without one."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConflictError, DataError, TaskError
from core.settings import Settings
from tasks.catalogue import TaskFolder, find_tasks
from tasks.declaration import NAME, OUT_OF_SCOPE, Label, Task, read_task
from training.clean import clean_rows
from training.rows import Row, RowFault, read_rows
from training.split import split_rows

GOLD_SHARE = 0.2
_SEED = 7


@dataclass(frozen=True)
class OwnTask:
    """A task folder, the rows of the file that are not in it (by line), and whether it was `made` now."""

    folder: TaskFolder
    faults: list[RowFault]
    made: bool


def new_task(
    settings: Settings, name: str, data: Path, text_column: str | None = None, label_column: str | None = None
) -> OwnTask:
    """Make the folder of a new task from the file `data`, with a stratified fifth of its rows as the gold set.

    Near-copies stay on one side. Labels are numbered in the order of their names.

    Raises:
        ConflictError: there is a task of that name.
        DataError: the file cannot be used, or has fewer than two labels.
        TaskError: the name is not allowed.
    """
    _refuse_existing(settings, name)
    task, rows, outside, faults = _read(name, data, text_column, label_column)
    files: dict[str, list[Row]] = {}
    for part in (rows, outside):
        parts = split_rows(part, {"gold": GOLD_SHARE}, _SEED)
        for kind in ("train", "gold"):
            files.setdefault(f"{kind}.csv", []).extend(part[position] for position in sorted(parts[kind]))
    return OwnTask(_write(settings, task, files), faults, made=True)


def task_for_data(
    settings: Settings,
    data: Path,
    name: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
) -> OwnTask:
    """Return the task to train on the file `data`: the one called `name`, made without a gold set if there is none.

    Without `name` it is the file's own, as a task name. An existing task is left as it is, and the file's labels
    must then be that task's. Either way pass the file to `training.train.train` as its `data`, so that rows that are
    not used are told by its lines.

    Raises:
        DataError: the file cannot be used, or has fewer than two labels.
        TaskError: the name is not allowed.
    """
    name = name or name_from(data)
    known = find_tasks(settings.model_copy(update={"tasks": ()}))
    if name in known:
        return OwnTask(known[name], [], made=False)
    task, rows, outside, faults = _read(name, data, text_column, label_column)
    return OwnTask(_write(settings, task, {"train.csv": [*rows, *outside]}), faults, made=True)


def name_from(data: Path) -> str:
    """Return the name of a file as a task name: lower case, hyphens for what is not allowed.

    Raises:
        TaskError: nothing is left that could be a name.
    """
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in data.stem.lower()).split()
    name = "-".join(words)[:63].strip("-")
    if not NAME.fullmatch(name):
        raise TaskError(f"no task name can be made from {data.name!r}; give one with --task")
    return name


def _refuse_existing(settings: Settings, name: str) -> None:
    if name in find_tasks(settings.model_copy(update={"tasks": ()})) or (settings.own_tasks / name).exists():
        raise ConflictError(
            f"there is a task {name!r} already; choose another name, or train it with `regrade train {name}`"
        )


def _read(
    name: str, data: Path, text_column: str | None, label_column: str | None
) -> tuple[Task, list[Row], list[Row], list[RowFault]]:
    """Return the task that the labels in `data` declare, its clean rows, out-of-scope rows, and what is not used."""
    file = read_rows(data, text_column, label_column)
    names = sorted({str(row.label) for row in file.rows} - {OUT_OF_SCOPE})
    if len(names) < 2:
        column = file.columns.label
        raise DataError(f"{data} has {len(names)} labels in {column!r} besides {OUT_OF_SCOPE}; expected at least 2")
    labels = [Label(id=number, name=label) for number, label in enumerate(names, start=1)]
    try:
        task = Task(name=name, title=name.replace("-", " ").capitalize(), labels=labels)
    except ValueError as error:
        raise TaskError(str(error)) from error
    cleaned = clean_rows(file.rows, task)
    faults = sorted([*file.faults, *cleaned.aside], key=lambda fault: fault.line)
    return task, cleaned.rows, cleaned.outside, faults


def _write(settings: Settings, task: Task, files: dict[str, list[Row]]) -> TaskFolder:
    """Write the folder whole or not at all."""
    settings.own_tasks.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.own_tasks, prefix=".new-") as scratch:
        made = Path(scratch) / task.name
        made.mkdir()
        (made / "task.toml").write_text(_declaration(task), encoding="utf-8")
        (made / "guideline.md").write_text(_guideline(task), encoding="utf-8")
        for name, rows in files.items():
            write_rows(made / name, rows)
        try:
            folder = made.rename(settings.own_tasks / task.name)
        except OSError as error:
            raise ConflictError(f"{settings.own_tasks / task.name} is there already; move it away or rename") from error
    return TaskFolder(read_task(folder), folder)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows` in the form of a task's own data: CSV with the header `text,label`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows([row.text, row.label] for row in rows)


def _declaration(task: Task) -> str:
    """Return `task` as TOML; JSON strings and lists of them are TOML as they stand."""
    said = json.dumps
    lines = [
        "# Made by Regrade from a data file. Describe each label: annotators and reports show it.",
        f"name = {said(task.name)}",
        f"kind = {said(task.kind)}",
        f"title = {said(task.title, ensure_ascii=False)}",
        f"description = {said(task.description, ensure_ascii=False)}",
        f"revision = {task.revision}",
        f"languages = {said(task.languages)}",
        f"base = {said(task.base)}",
        f"max_length = {task.max_length}",
        f"redact = {said(list(task.redact))}",
    ]
    for label in task.labels:
        name, description = (said(value, ensure_ascii=False) for value in (label.name, label.description))
        lines += ["", "[[labels]]", f"id = {label.id}", f"name = {name}", f"description = {description}"]
    return "\n".join(lines).replace("\x7f", "\\u007f") + "\n"


def _guideline(task: Task) -> str:
    """Return a guideline for annotators with a place for each label."""
    parts = [
        f"# {task.title}",
        "",
        "Choose the one label that says what the text is about. If none does, mark the text as out of scope.",
    ]
    for label in task.labels:
        parts += ["", f"## {label.name}", "", "When to choose it, an example, and what it is often confused with."]
    return "\n".join(parts) + "\n"
