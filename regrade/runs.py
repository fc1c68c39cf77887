"""`regrade runs`: what the retraining job does and did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import AsJson
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.runs import Run
    from feedback.store import Store

app = typer.Typer(no_args_is_help=True, help="Show and cancel runs of the retraining job.")


@app.command("list", epilog="Example: `regrade runs list support-intent`")
def list_all(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task's; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Runs at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    settings = prepare()
    from feedback.runs import list_runs

    with opened_store(settings) as store:
        found = list_runs(store, [task] if task else None, limit=limit)
        told = describe(store, found)
    if as_json:
        print_json({"runs": told})
    elif found:
        columns = ("run", "task", "mode", "trigger", "status", "step", "version", "asked for")
        print_table(columns, [_row(run) for run in found])
    else:
        say("no runs yet; begin one with `regrade retrain TASK --once`")


@app.command("show", epilog="Example: `regrade runs show 01a2021e-44ad-70f8-848b-5a8e3d463412`")
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the run, as `regrade runs list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one run: its step, the verdict check by check, and what came of it."""
    settings = prepare()
    from feedback.runs import find_run

    with opened_store(settings) as store:
        print_run(settings, store, find_run(store, run_id), as_json=as_json)


@app.command("cancel", epilog="Example: `regrade runs cancel 01a2021e-44ad-70f8-848b-5a8e3d463412`")
def cancel(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the run, as `regrade runs list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a run that waits, or whose candidate is on trial: the champion stays."""
    settings = prepare()
    from feedback.trial_moves import cancel_run

    with opened_store(settings) as store:
        print_run(settings, store, cancel_run(store, operator(), run_id, reason.strip()), as_json=as_json)


def describe(store: Store, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return runs as JSON shows them, as `GET /v1/runs` does."""
    from service.run_views import describe_runs

    return describe_runs(store, runs)


def print_run(settings: Settings, store: Store, run: Run, *, as_json: bool = False) -> None:
    """Print a run for people, or as JSON."""
    (told,) = describe(store, [run])
    if as_json:
        print_json(told)
    else:
        _print_for_people(settings, run, told["trials"])
        if told["taken_back"]:
            say(f"taken back since: {told['taken_back']}", "bold red")


def _print_for_people(settings: Settings, run: Run, trials: Sequence[dict[str, Any]]) -> None:
    figures = dict(run.figures or {})
    report, seconds = figures.pop("report", None), figures.pop("seconds", None) or {}
    step = run.state if run.status != "running" else f"{run.state} ({run.message} {run.progress:.0%})"
    rows = [
        ("run", run.id),
        ("mode", run.mode),
        ("asked for", f"{run.created_at:%Y-%m-%d %H:%M} UTC by {run.asked_by} ({run.trigger})"),
        ("status", run.status),
        ("step", step),
        ("champion", run.champion),
        ("candidate", run.version),
        ("snapshot", run.snapshot_sha256),
        *((name.replace("_", " "), value) for name, value in figures.items()),
        ("seconds", f"{sum(seconds.values()):.1f}" if seconds else None),
        ("report", settings.home / report if report else None),
    ]
    print_table(("", ""), [(name, value) for name, value in rows if value is not None], title=run.task)
    if run.gate:
        checks = [(one["name"], one["outcome"], one["message"]) for one in run.gate.get("checks", [])]
        print_table(("check", "outcome", "what was found"), checks, title=f"gate: {run.gate['decision']}")
        for warning in run.gate.get("warnings", []):
            say(f"note: {warning}")
    if trials:
        columns = ("trial", "share", "step", "status", "since", "candidate", "champion", "agreement")
        print_table(columns, [_trial_row(trial) for trial in trials], title="trials")
    if run.status != "running" and run.message:
        say(run.message, "bold")


def _trial_row(trial: dict[str, Any]) -> tuple[Any, ...]:
    sides = (_side_of(trial["candidate_side"]), _side_of(trial["champion_side"]))
    since = f"{trial['since']:%Y-%m-%d %H:%M}"
    return trial["kind"], f"{trial['share']:.1%}", trial["step"], trial["status"], since, *sides, trial["agreement"]


def _side_of(side: dict[str, Any]) -> str:
    took = "" if side["mean_ms"] is None else f", {side['mean_ms']:.1f} ms"
    return f"{side['texts']:,} texts, {side['errors']:,} failed{took}"


def _row(run: Run) -> tuple[Any, ...]:
    asked = f"{run.created_at:%Y-%m-%d %H:%M}"
    return run.id, run.task, run.mode, run.trigger, run.status, run.state, run.version, asked
