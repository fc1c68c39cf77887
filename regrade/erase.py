"""`regrade erase`: take a text, or everything about a person, out of everything on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson
from regrade.output import print_json, print_table, say, warn

if TYPE_CHECKING:
    from pathlib import Path

    from feedback.erasure import Erasure
    from feedback.store import Store

EPILOG = (
    'Examples: `regrade erase --subject customer-4711`, `regrade erase --text "call me at home" --own-data`, '
    "`cat text.txt | regrade erase --text -`.\n\n"
    "Exit codes: 0 erased, 1 failed, or own data still holds it, 2 wrong usage or setting."
)


def erase(
    subject: Annotated[
        str | None, typer.Option("--subject", help="Erase every text sent with this `subject`, and all about it.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Erase every copy of this text; `-`: from standard input.")
    ] = None,
    own_data: Annotated[
        bool, typer.Option("--own-data", help="Also remove its rows from train.csv and gold.csv of own tasks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a text or a person's texts: database, spool, kept replies, reports, snapshots. It cannot be undone.

    The service may run meanwhile. Backups, exported files and PostgreSQL's dead rows are yours to see to.
    """
    if (subject is None) == (text is None):
        raise typer.BadParameter("give one of --subject and --text", param_hint="--subject")
    if not yes and sys.stdin.isatty():
        typer.confirm("Erase it for good?", abort=True, err=True)
    settings = prepare()
    from feedback.erasure import erase as erase_everywhere
    from feedback.erasure import wanted_erasure
    from feedback.spool import Spool
    from tasks.catalogue import find_tasks

    if text == "-":
        text = sys.stdin.read().removesuffix("\n")
    tasks = [folder.task for folder in find_tasks(settings.model_copy(update={"tasks": ()})).values()]
    wanted = wanted_erasure(subject, text, tasks)
    spool = Spool(settings.home / "spool.sqlite3")
    with opened_store(settings) as store:
        done = erase_everywhere(store, spool, settings.home, operator(), wanted, _versions, own_data=own_data)
        if done.unsettled:
            done = _settled(store, settings.home, done)
    spool.close()
    if as_json:
        print_json(_facts(done, settings.home))
    else:
        _show(done)
    if done.own_data or done.unsettled:
        raise typer.Exit(1)


def _settled(store: Store, home: Path, done: Erasure) -> Erasure:
    """Take it out of the files of snapshots, if the `train` extra is here, which alone can."""
    from dataclasses import replace

    try:
        from training.snapshot_erasure import settle_erasures
    except ModuleNotFoundError:
        return done
    settled = settle_erasures(store, home)
    counts = {**done.counts, "snapshot_rows": settled.rows}
    return replace(done, counts=counts, models=settled.models.get(done.id, done.models), unsettled=False)


def _versions(task: str) -> Sequence[str]:
    from service.model_store import version_names

    return version_names(task)


def _facts(done: Erasure, home: Path) -> dict[str, Any]:
    left = [
        {"task": rows.task, "file": str(rows.file.relative_to(home)), "lines": list(rows.lines)}
        for rows in done.own_data
    ]
    found = {"erasure_id": done.id, "counts": dict(done.counts), "models": list(done.models), "own_data": left}
    return found | {"snapshots_pending": done.unsettled}


def _show(done: Erasure) -> None:
    print_table(("erased", "rows"), [(name.replace("_", " "), n) for name, n in done.counts.items()])
    say(f"erasure {done.id}")
    if done.models:
        say(f"model versions that had learnt from it: {', '.join(done.models)}; train them again without it")
    if done.unsettled:
        warn("files of snapshots may still hold it, and only the `train` extra can rewrite them: run this where it is")
    for rows in done.own_data:
        lines = ", ".join(map(str, rows.lines[:10])) + (", …" if len(rows.lines) > 10 else "")
        warn(f"still there: {len(rows.lines):,} rows in {rows.file} (lines {lines}); remove them, or pass --own-data")
