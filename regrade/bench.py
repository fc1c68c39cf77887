"""`regrade bench`: what a task's live model does on this machine, and what to set because of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regrade.environment import prepare
from regrade.options import AsJson, TextColumn
from regrade.output import print_json, print_table, progress, report_faults, say

if TYPE_CHECKING:
    from core.settings import Settings
    from regrade.advice import Advice, Figures, Served, Shape

MOST_TEXTS = 2_000
"""Texts that are measured on; more change nothing."""

EPILOG = (
    "Examples: `regrade bench`, `regrade bench support-intent --recorded`, "
    "`regrade bench support-intent --texts messages.csv --seconds 5 --json`.\n\n"
    "Nothing that is served or stored is changed. Other work on the machine disturbs the figures.\n\n"
    "Exit codes: 0 measured, 1 it could not be, 2 wrong usage or setting."
)


def bench(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Name of the task; default: the first with a live model.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option("--texts", "-f", help="CSV, JSONL or parquet; any other kind is one text a line.")
    ] = None,
    text_column: TextColumn = None,
    recorded: Annotated[bool, typer.Option("--recorded", help="Measure on the latest recorded texts.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds of each measurement.")] = 2.0,
    no_service: Annotated[
        bool, typer.Option("--no-service", help="Leave out the whole service, which is measured last.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the live model of TASK on this machine, and advise workers, threads and token budget with the figures.

    Texts are the task's own training data unless a file or --recorded says otherwise. Takes under two minutes.
    """
    if texts and recorded:
        raise typer.BadParameter("give --texts or --recorded, not both", param_hint="--texts")
    settings = prepare()
    from regrade.advice import advise
    from regrade.bench_service import LOADS, serve_and_measure
    from regrade.measuring import Subject, measure, steps_of
    from service.runner import choose_runner, suited

    runner, settings = choose_runner(settings.runner), suited(settings)
    task, folder = _live(settings, task)
    given = _given(settings, task, texts, text_column, recorded)
    with tempfile.TemporaryDirectory(prefix="regrade-bench-") as scratch:
        subject = Subject(settings, folder, runner, given, seconds, Path(scratch))
        with progress("measuring", steps_of(runner) + (0 if no_service else len(LOADS))) as advance:
            found = measure(subject, advance)
            if not no_service:
                found = replace(found, served=serve_and_measure(subject, task, advance))
    current = {"REGRADE_WORKERS": settings.workers, "REGRADE_BATCH_TOKENS": settings.batch_tokens}
    advice = advise(found, current)
    if as_json:
        values = {"task": task, "version": folder.name, "settings": current}
        print_json(values | {"figures": asdict(found), "advice": [asdict(one) for one in advice]})
        return
    say(f"{task} {folder.name} on {found.cores} cores ({found.runner}), {found.texts:,} texts", "bold")
    _print_shapes(found.shapes)
    _print_speeds(found)
    if found.served:
        _print_served(found.served)
    _print_advice(advice)


def _live(settings: Settings, task: str | None) -> tuple[str, Path]:
    """Return the task to measure and the folder of its live version.

    Raises:
        NotFoundError: it has none, or no task has one.
        TaskError: there is no such task.
    """
    from core.errors import NotFoundError
    from regrade.live import deployments
    from service.model_store import version_folder
    from tasks.catalogue import find_task, find_tasks

    live = deployments(settings)
    if task is None:
        task = next((name for name in find_tasks(settings) if name in live), None)
        if task is None:
            raise NotFoundError("no task has a live model yet; train one with `regrade train TASK`")
    find_task(settings, task)
    if task not in live:
        raise NotFoundError(f"task {task!r} has no live model yet; train one with `regrade train {task}`")
    return task, version_folder(task, live[task].version).resolve()


def _given(settings: Settings, task: str, file: Path | None, text_column: str | None, recorded: bool) -> list[str]:
    """Return the texts to measure on.

    Raises:
        DataError: there are none.
    """
    from core.errors import DataError
    from feedback.recent import latest_texts
    from regrade.operator import opened_store
    from regrade.texts import read_table
    from tasks.catalogue import find_task
    from tasks.examples import base_texts

    if file is not None:
        read = read_table(file, text_column)
        report_faults(read.faults, str(file), settings.reports / f"{task}-texts.txt")
        found, source = [text for _, text in read.usable[:MOST_TEXTS]], str(file)
    elif recorded:
        with opened_store(settings) as store:
            found, source = latest_texts(store, task, MOST_TEXTS), "the recorded predictions"
    else:
        folder = find_task(settings, task)
        found, source = base_texts(folder, MOST_TEXTS), str(folder.train_file)
    if not found:
        raise DataError(f"{source} holds no texts to measure on; give some with --texts FILE")
    return found


def _print_shapes(shapes: Sequence[Shape]) -> None:
    sizes = sorted({one.texts for one in shapes})
    speed = {(one.texts, one.tokens): one.texts * one.tokens / one.seconds for one in shapes}
    lengths = sorted({one.tokens for one in shapes})
    rows = [(f"{tokens}", *(f"{speed[size, tokens]:,.0f}" for size in sizes)) for tokens in lengths]
    columns = ("tokens a text", *(f"{size} {'text' if size == 1 else 'texts'}" for size in sizes))
    print_table(columns, rows, "Tokens a second, by batch")


def _print_speeds(found: Figures) -> None:
    rows = [
        ("one text at a time", f"{found.one_by_one:,.0f}", "-"),
        ("in batches as they come", f"{found.unsorted:,.0f}", "-"),
    ]
    for speeds, word in ((found.budgets, "token"), (found.threads, "thread"), (found.processes, "process")):
        for one in speeds:
            how = f"sorted, {one.size:,} tokens a batch" if word == "token" else _counted(one.size, word)
            rows.append((how, f"{one.texts_per_s:,.0f}", f"{one.memory_mib:,.0f}"))
    print_table(("how", "texts/s", "MB a process"), rows, "Redaction, tokens and model, without HTTP")


def _counted(number: int, word: str) -> str:
    ending = "" if number == 1 else "es" if word.endswith("s") else "s"
    return f"{number} {word}{ending}"


def _print_served(served: Sequence[Served]) -> None:
    rows = [
        (
            f"{one.texts} x {one.clients}",
            f"{one.texts_per_s:,.0f}",
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            f"{one.failed:,}",
            "-" if one.memory_mib is None else f"{one.memory_mib:,.0f}",
        )
        for one in served
    ]
    columns = ("texts a request x clients", "texts/s", "p50 ms", "p99 ms", "failed", "MB a worker")
    print_table(columns, rows, "The whole service, its client on the same cores")


def _print_advice(advice: Sequence[Advice]) -> None:
    rows = [("" if one.setting is None else f"{one.setting}={one.value}", one.reason) for one in advice]
    print_table(("set", "because"), rows, "Advice")
