"""`regrade import`: texts to label from a file, check items, and what `regrade export` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson, LabelColumn, TaskName, TextColumn
from regrade.output import LineFault, print_json, progress, report_faults, say

if TYPE_CHECKING:
    from core.redaction import Redactor
    from feedback.exports import What
    from feedback.facts import Value
    from feedback.intake import Brought
    from feedback.store import Store
    from tasks.catalogue import TaskFolder
    from tasks.declaration import Task
    from training.rows import Row

EPILOG = (
    "Examples: `regrade import support-intent messages.csv --subject-column customer`, "
    "`regrade import support-intent known.csv --check`, `regrade import support-intent exported.jsonl`.\n\n"
    "Exit codes: 0 every row is used or was there, 1 some rows are not used (listed by line) or it failed, 2 wrong "
    "usage or setting."
)

Numbered = tuple[int, dict[str, Any] | str]
"""A row with its line, or what is wrong with it."""

_BATCH = 500


@dataclass(frozen=True)
class _Fault:
    line: int
    msg: str


def import_file(  # noqa: PLR0913, PLR0917 - one for each option
    task: TaskName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSONL or parquet; or what `export` wrote.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    subject_column: Annotated[
        str | None, typer.Option("--subject-column", help="Column with the id of whom a text is about, for erasure.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Make check items: the label is the known answer that annotators are held to."),
    ] = False,
    priority: Annotated[
        int, typer.Option("--priority", min=0, max=10, help="Place among items of the same age; 10 comes first.")
    ] = 5,
    again: Annotated[bool, typer.Option("--again", help="Also ask about texts that were resolved before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the texts of FILE to TASK's queue, or put back what `regrade export` wrote; may be repeated.

    A text of which an exact copy is open shares that item. Rows of the gold set are left out: they are for measuring.
    """
    settings = prepare()
    from tasks.catalogue import find_task
    from training.exported import exported_what

    folder = find_task(settings, task)
    with opened_store(settings) as store:
        what = exported_what(file)
        if what is not None:
            counts, faults = _restore(store, folder.task, file, what)
        else:
            columns = (text_column, label_column, subject_column)
            counts, faults = _bring(store, folder, file, columns, check=check, urgency=priority / 10, again=again)
    report_faults(faults, str(file), settings.reports / f"{task}-import.txt")
    if as_json:
        print_json({"task": task, **counts, "rows_not_used": len(faults)})
    else:
        say(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
    if faults:
        raise typer.Exit(1)


def _bring(
    store: Store,
    folder: TaskFolder,
    file: Path,
    columns: tuple[str | None, str | None, str | None],
    *,
    check: bool,
    urgency: float,
    again: bool,
) -> tuple[dict[str, int], list[LineFault]]:
    """Bring texts to the queue; return what became of them, and the rows that are not used."""
    from core.redaction import Redactor
    from feedback.intake import take_in
    from training.rows import read_rows

    text, label, subject = columns
    task = folder.task
    found = read_rows(file, text, label, labelled=check, subject_column=subject)
    redact = Redactor(task.redact)
    faults: list[LineFault] = list(found.faults)
    rows = _without_gold(found.rows, folder, redact, faults)
    counts = {"new_items": 0, "shared_with_open_items": 0, "resolved_before": 0}
    with progress("importing", len(rows)) as advance:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            brought = _brought(task, batch, redact, faults, check=check)
            wanted = brought if check or again else _unresolved(store, task, brought)
            taken = take_in(store, task, operator(), wanted, urgency) if wanted else []
            shared = sum(one.duplicate for one in taken)
            counts["new_items"] += len(taken) - shared
            counts["shared_with_open_items"] += shared
            counts["resolved_before"] += len(brought) - len(wanted)
            advance(len(batch))
    return counts, sorted(faults, key=lambda fault: fault.line)


def _without_gold(rows: Sequence[Row], folder: TaskFolder, redact: Redactor, faults: list[LineFault]) -> list[Row]:
    from core.text import text_hash
    from training.rows import read_rows

    if not folder.gold_file.exists():
        return list(rows)
    gold = {text_hash(redact(row.text)) for row in read_rows(folder.gold_file, "text", "label").rows}
    kept = []
    for row in rows:
        if text_hash(redact(row.text)) in gold:
            faults.append(_Fault(row.line, "is in the gold set, which is kept for measuring"))
        else:
            kept.append(row)
    return kept


def _brought(
    task: Task, rows: Sequence[Row], redact: Redactor, faults: list[LineFault], *, check: bool
) -> list[Brought]:
    from core.errors import InvalidError
    from feedback.intake import Brought

    brought = []
    for row in rows:
        try:
            known = _known(task, row.label or "") if check else None
        except InvalidError as error:
            faults.append(_Fault(row.line, str(error)))
            continue
        brought.append(Brought(redact(row.text), subject=row.subject, known=known))
    return brought


def _known(task: Task, label: str) -> Value:
    """Return the known answer in a cell; where a task wants several labels, it is a JSON list or one name."""
    from feedback.values import value_of

    if task.kind != "multi_label":
        return value_of(task, label, None)
    try:
        names = json.loads(label)
    except ValueError:
        names = label
    return value_of(task, None, [str(name) for name in names] if isinstance(names, list) else [label])


def _unresolved(store: Store, task: Task, brought: Sequence[Brought]) -> list[Brought]:
    from core.text import text_hash
    from feedback.imports import resolved_hashes

    resolved = resolved_hashes(store, task, [one.content for one in brought])
    return [one for one in brought if text_hash(one.content) not in resolved]


def _restore(store: Store, task: Task, file: Path, what: What) -> tuple[dict[str, int], list[LineFault]]:
    """Put exported rows back; return what became of them, and the rows that are not used."""
    from feedback.restoring import restore
    from training.exported import count_lines, read_exported

    counts = {f"{what}_put_back": 0, "there_already": 0}
    faults: list[LineFault] = []
    done_lines = 0
    with progress("importing", count_lines(file)) as advance:
        for batch in _batches(read_exported(file, what)):
            usable = [(line, row) for line, row in batch if isinstance(row, dict)]
            faults += [_Fault(line, row) for line, row in batch if isinstance(row, str)]
            done = restore(store, task, operator(), what, [row for _, row in usable])
            faults += [_Fault(usable[position][0], msg) for position, msg in done.faults]
            counts[f"{what}_put_back"] += done.put_back
            counts["there_already"] += done.known
            advance(batch[-1][0] - done_lines)
            done_lines = batch[-1][0]
    return counts, sorted(faults, key=lambda fault: fault.line)


def _batches(rows: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
