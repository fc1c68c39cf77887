"""`regrade runs`: what the retraining job does and did."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store
from regrade.options import AsJson
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.runs import Run

app = typer.Typer(no_args_is_help=True, help="Show runs of the retraining job.")


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
    if as_json:
        print_json({"runs": [describe(run) for run in found]})
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
        run = find_run(store, run_id)
    if as_json:
        print_json(describe(run))
    else:
        print_run(settings, run)


def describe(run: Run) -> dict[str, Any]:
    """Return a run as JSON shows it, as `GET /v1/runs/{id}` does."""
    told = asdict(run)
    return {"run_id": told.pop("id"), **told}


def print_run(settings: Settings, run: Run) -> None:
    """Print a run for people."""
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
    if run.status != "running" and run.message:
        say(run.message, "bold")


def _row(run: Run) -> tuple[Any, ...]:
    asked = f"{run.created_at:%Y-%m-%d %H:%M}"
    return run.id, run.task, run.mode, run.trigger, run.status, run.state, run.version, asked
