"""`regrade triage`: how much review buys how much certainty."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import live_version
from regrade.operator import opened_store
from regrade.options import AsJson, TaskName
from regrade.output import console, print_json, print_table, say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.recent import Recent
    from feedback.sampling import Estimate
    from service.artifact import Manifest

app = typer.Typer(no_args_is_help=True, help="See what asking people costs and what it saves.")

_TRAFFIC = 1000.0
_MOST_ROWS = 16
_BAR = 30


@app.command(
    "plan",
    epilog="Example: `regrade triage plan support-intent --traffic-per-day 20000 --reviews-per-day 400`",
)
def plan(
    task: TaskName,
    *,
    version: Annotated[str | None, typer.Option("--version", help="Another version than the live one.")] = None,
    traffic: Annotated[
        float | None,
        typer.Option("--traffic-per-day", min=0, help="Predictions a day. Default: as recorded, else 1,000."),
    ] = None,
    reviews: Annotated[
        float | None, typer.Option("--reviews-per-day", min=0, help="Reviews a day that people have time for.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also draw it, into this .html or .svg file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the trade-off of TASK's thresholds: share reviewed, error left, reviews a day.

    The error is that of held-out rows which served for nothing else. Where predictions of the version are recorded,
    the share reviewed is that of the real traffic.
    """
    settings = prepare()
    from service.artifact import read_manifest, read_metrics
    from service.model_store import version_folder
    from service.plan import affordable, make_plan, trade_off_of
    from tasks.catalogue import find_task

    rules = find_task(settings, task).task.triage
    folder = version_folder(task, version or live_version(settings, task))
    manifest = read_manifest(folder)
    trade_off = trade_off_of(manifest, read_metrics(folder))
    recent = _recent(settings, manifest)
    per_day = traffic if traffic is not None else recent.per_day or _TRAFFIC
    found = make_plan(manifest, trade_off, rules, recent, per_day)
    if reviews is not None:
        found["affordable"] = affordable(found["steps"], reviews)
    if out is not None or (not as_json and trade_off["rows"]):
        from training.plan_picture import draw_plan

        found["picture"] = str(draw_plan(out or settings.reports / f"{task}-triage.html", manifest, trade_off, found))
    if as_json:
        print_json(found)
    else:
        _print(found, reviews)


@app.command("accuracy", epilog="Example: `regrade triage accuracy support-intent --days 7`")
def accuracy(
    task: TaskName,
    *,
    days: Annotated[int, typer.Option("--days", min=1, help="How far back to look.")] = 30,
    version: Annotated[str | None, typer.Option("--version", help="Only what this version predicted.")] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate from people's answers how often TASK is right on all traffic, and how wrong where nobody looks.

    Weighs each answer by the probability with which its prediction was drawn; the plain share of right answers among
    what was reviewed is shown beside it, because that is what it must not be mistaken for.
    """
    settings = prepare()
    from datetime import UTC, datetime, timedelta

    from feedback.estimate import live_accuracy, unreviewed_error
    from tasks.catalogue import find_task

    declared = find_task(settings, task).task
    since = datetime.now(UTC) - timedelta(days=days)
    with opened_store(settings) as store:
        right = live_accuracy(store, declared, since, version=version)
        wrong = unreviewed_error(store, declared, since, version=version)
    if as_json:
        print_json(
            {
                "task": task,
                "days": days,
                "version": version,
                "accuracy": asdict(right) if right else None,
                "unreviewed_error": asdict(wrong) if wrong else None,
                "max_error": declared.triage.max_error,
            }
        )
    elif right is None:
        say(f"nothing that triage drew in {days} days has been resolved yet; the estimate needs people's answers")
    else:
        _print_estimates(right, wrong, declared.triage.max_error)


def _print_estimates(right: Estimate, wrong: Estimate | None, max_error: float) -> None:
    rows = [("right, of all predictions", *_interval(right))]
    if wrong is not None:
        rows.append((f"wrong, of those nobody looks at (promised: at most {max_error:.1%})", *_interval(wrong)))
    print_table(("", "estimate", "95 % interval", "predictions"), rows)
    naive = f"{right.naive:.1%} of the {right.n_reviewed:,} reviewed predictions were right"
    console().print(f"Not an estimate: {naive}; doubtful ones are reviewed more often.", soft_wrap=True)


def _interval(found: Estimate) -> tuple[str, str, str]:
    return f"{found.estimate:.1%}", f"{found.low:.1%} to {found.high:.1%}", f"{found.n_traffic:,}"


def _recent(settings: Settings, manifest: Manifest) -> Recent:
    from feedback.recent import recent_traffic

    with opened_store(settings) as store:
        return recent_traffic(store, manifest.task, manifest.version)


def _print(found: dict[str, Any], reviews: float | None) -> None:
    steps = found["steps"]
    shown = [step for place, step in enumerate(steps) if _is_shown(place, step, len(steps))]
    columns = ("confidence from", "reviewed", "", "error left", "at most", "reviews a day", "")
    title = f"{found['task']} {found['version']} at {found['traffic_per_day']:,.0f} predictions a day"
    print_table(columns, [_row(step) for step in shown], title=title)
    for line in _remarks(found, reviews):
        console().print(line, soft_wrap=True)
    if "picture" in found:
        say(f"drawn in {found['picture']}")


def _is_shown(place: int, step: dict[str, Any], n_steps: int) -> bool:
    every = max(1, -(-n_steps // _MOST_ROWS))
    return place % every == 0 or place == n_steps - 1 or bool(step["in_force"])


def _row(step: dict[str, Any]) -> tuple[str, ...]:
    share = step["reviewed"]
    return (
        f"{step['confidence']:.4f}",
        _percent(share),
        "█" * round(_BAR * (share or 0.0)),
        _percent(step["error_left"], 2),
        _percent(step["at_most"], 2),
        "-" if step["reviews_per_day"] is None else f"{step['reviews_per_day']:,.0f}",
        "in force" if step["in_force"] else "",
    )


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{share:.{digits}%}"


def _remarks(found: dict[str, Any], reviews: float | None) -> list[str]:
    """Return what the table does not say by itself."""
    risk = found["risk"]
    source = "recorded traffic" if found["recorded_predictions"] else "held-out rows"
    promise = f"at most {risk['max_error']:.1%} of unreviewed answers wrong, {risk['confidence']:.0%} sure"
    audited = f"{found['audit']:.1%} audit included"
    remarks = [
        f"Promise: {promise}; {risk['note']}.",
        f"Shares are of {source}, {audited}; errors are of {found['held_out_rows']:,} held-out rows.",
        "`at most` is an upper bound for its row alone.",
    ]
    if found["budget"] is not None:
        remarks.append(f"The task's budget is {found['budget']:,} reviews a day; more are not asked for, audits aside.")
    if reviews is not None:
        step = found["affordable"]
        remarks.append(
            f"{reviews:,.0f} reviews a day are fewer than any of these ask for; set `budget` in [triage]."
            if step is None
            else f"{reviews:,.0f} reviews a day buy a confidence from {step['confidence']:.4f}: "
            f"{_percent(step['error_left'], 2)} error left. `max_error` in [triage] moves the thresholds with the next "
            "training, `budget` holds back what is asked for at once."
        )
    return remarks
