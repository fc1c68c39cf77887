"""`regrade task`: making, listing and showing what is classified."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import deployments
from regrade.options import AsJson, LabelColumn, TaskName, TextColumn
from regrade.output import console, print_json, print_table, report_faults, say

if TYPE_CHECKING:
    from tasks.catalogue import TaskFolder

app = typer.Typer(no_args_is_help=True, help="Make, list and show tasks: what is classified.")


@app.command("new", epilog="Example: `regrade task new shop-intent --data messages.csv --text-column message`")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")],
    data: Annotated[Path, typer.Option("--data", help="CSV, JSONL or parquet file of labelled texts.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Make a task folder in $REGRADE_HOME/tasks from labelled texts; a fifth of them becomes its gold set.

    Rows that cannot be used are listed by line on standard error.
    """
    settings = prepare()
    from training.own_data import new_task

    made = new_task(settings, name, data, text_column=text_column, label_column=label_column)
    report_faults(made.faults, str(data), settings.reports / f"{name}-rows.txt")
    facts = _facts(made.folder, None)
    if as_json:
        print_json(facts | {"rows_not_used": len(made.faults)})
        return
    say(f"made {facts['folder']}: {facts['train_rows']:,} training rows, {facts['gold_rows']:,} gold rows")
    say(f"next: describe the labels in task.toml and guideline.md, then `regrade train {name}`")


@app.command("list", epilog="Example: `regrade task list --json`")
def list_tasks(as_json: AsJson = False) -> None:
    """List the tasks that would be served, with their live versions."""
    settings = prepare()
    from tasks.catalogue import find_tasks

    found = find_tasks(settings)
    live = {name: deployment.version for name, deployment in deployments(settings).items()}
    facts = [_facts(folder, live.get(name)) for name, folder in found.items()]
    if as_json:
        print_json({"tasks": facts})
        return
    columns = ("task", "labels", "revision", "train rows", "gold rows", "live version", "title")
    keys = ("name", None, "revision", "train_rows", "gold_rows", "live_version", "title")
    print_table(columns, [[len(fact["labels"]) if key is None else fact[key] for key in keys] for fact in facts])


@app.command("show", epilog="Example: `regrade task show support-intent`")
def show(name: TaskName, as_json: AsJson = False) -> None:
    """Show a task: its labels, guideline, data and live version."""
    settings = prepare()
    from tasks.catalogue import find_task

    deployment = deployments(settings).get(name)
    facts = _facts(find_task(settings, name), deployment.version if deployment else None)
    if as_json:
        print_json(facts)
        return
    labels = facts.pop("labels")
    print_table(("", ""), [(key.replace("_", " "), value) for key, value in facts.items()])
    print_table(("id", "label", "description"), [tuple(label.values()) for label in labels])
    if not facts["guideline"]:
        console().print("This task has no guideline.md for annotators yet.")


def _facts(folder: TaskFolder, live_version: str | None) -> dict[str, Any]:
    task = folder.task
    guideline = folder.folder / "guideline.md"
    return {
        "name": task.name,
        "title": task.title,
        "description": task.description,
        "kind": task.kind,
        "revision": task.revision,
        "languages": ",".join(task.languages),
        "base": task.base,
        "folder": str(folder.folder),
        "guideline": str(guideline) if guideline.exists() else None,
        "train_rows": count_rows(folder.train_file),
        "gold_rows": count_rows(folder.gold_file),
        "live_version": live_version,
        "labels": [label.model_dump() for label in task.labels],
    }


def count_rows(path: Path) -> int:
    """Return the number of rows under the header of a task's CSV file; 0 where there is none."""
    if not path.exists():
        return 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        return max(sum(1 for cells in csv.reader(file) if cells) - 1, 0)
