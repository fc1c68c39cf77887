"""`regrade retrain`: one run of the retraining job, here and now, or asked for."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson, TaskName
from regrade.output import say
from regrade.runs import print_run

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.runs import Run

EPILOG = (
    "Examples: `regrade retrain support-intent --once`, `regrade retrain support-intent --once --fast`.\n\n"
    "Exit codes: 0 promoted, passed, on trial or nothing new; 1 it failed; 2 wrong usage or setting; 3 the candidate "
    "was refused, or nothing was shown."
)

NOT_SHOWN = 3
"""Exit code of a run after which the champion stays."""

_TERMINATED = 128 + signal.SIGTERM


def retrain(
    task: TaskName,
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help="Work on it here and now, and end with it; otherwise a scheduler takes it up."),
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Refit only the head of the live version, which takes seconds.")
    ] = False,
    no_promote: Annotated[
        bool, typer.Option("--no-promote", help="Only judge the candidate; promote it yourself if it passes.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Learn even where nothing is new since the last time; with --once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Learn from what people said: snapshot, learn, gate, promote.

    What is on trial is advanced first, and a run that was interrupted is gone on with. One process works on a task at a
    time.
    """
    if again and not once:
        raise typer.BadParameter("is for --once: a scheduler learns only what is new", param_hint="--again")
    settings = prepare()
    mode = "fast" if fast else "full"
    if once:
        run = _now(settings, task, mode, promote=not no_promote, again=again)
    else:
        run = _ask(settings, task, mode, promote=not no_promote)
    with opened_store(settings) as store:
        print_run(settings, store, run, as_json=as_json)
    if run.status == "queued":
        say("a scheduler takes it up: the one of `regrade serve`, or `regrade scheduler`", "bold")
    if run.status in {"rejected", "inconclusive"}:
        raise typer.Exit(NOT_SHOWN)


def _now(settings: Settings, task: str, mode: Any, *, promote: bool, again: bool) -> Run:
    from tasks.catalogue import find_task

    folder = find_task(settings, task)  # before the learning libraries, which take seconds to import
    from training.job import Asked
    from training.retrain import retrain
    from training.trackers import check_trackers

    check_trackers(settings)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # let go of the task; the run is gone on with
    asked, shown = Asked(mode, "command", promote, again), sys.stderr.isatty()
    with opened_store(settings) as store:
        return retrain(settings, store, operator(), folder, asked, shown=shown)


def _ask(settings: Settings, task: str, mode: Any, *, promote: bool) -> Run:
    from feedback.run_queue import ask_for_run
    from regrade.live import live_version
    from tasks.catalogue import find_task

    find_task(settings, task)
    live_version(settings, task)
    with opened_store(settings) as store:
        return ask_for_run(store, operator(), task, mode, "command", promote=promote)
