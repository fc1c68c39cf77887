"""`regrade train`: from labelled rows to a saved, and perhaps live, model version."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.operator import opened_store
from regrade.options import AsJson, LabelColumn, TextColumn
from regrade.output import print_json, print_table, report_faults, say

if TYPE_CHECKING:
    from core.settings import Settings
    from tasks.catalogue import TaskFolder
    from training.train import Trained

EPILOG = (
    "Examples: `regrade train support-intent`, `regrade train --data tickets.csv --task tickets --quick`.\n\n"
    "Exit codes: 0 trained, 1 it failed, 2 wrong usage or setting. Rows that cannot be used are listed by line."
)

_ACTOR = "command line"


def train(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str | None, typer.Argument(metavar="TASK", help="Task to train.")] = None,
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="Train on this CSV, JSONL or parquet file instead of the task's rows.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="Task for --data; made if it is new. Default: the file's name.")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fit only a linear head on the frozen encoder: faster, a little less accurate."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed instead of the task's; same seed, same model.")
    ] = None,
    deploy: Annotated[
        bool | None,
        typer.Option(
            "--deploy/--no-deploy",
            help="Make the version live although no gate has judged it, or in no case. Default: only a task's first.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model version: clean, split, fine-tune, calibrate, export, quantise, check, evaluate, save.

    A task's first version is made live. Later ones are saved, and wait: there is no gate yet that proves them better.
    """
    if name and task and name != task:
        raise typer.BadParameter(f"{name!r} and --task {task!r} are two tasks; give one", param_hint="--task")
    if not (name or task or data):
        raise typer.BadParameter("give a task, or --data FILE", param_hint="TASK")
    settings = prepare()
    from training.trackers import check_trackers

    check_trackers(settings)
    trained = _train(settings, name or task, data, (text_column, label_column), quick=quick, seed=seed)
    report_trained(settings, trained)
    is_live, what_next = make_live(settings, trained.manifest.task, trained.manifest.version, deploy)
    facts = _facts(trained) | {"live": is_live}
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    say(what_next, "bold")
    if trained.manifest.gate.decision == "ungated":
        say("no gold rows were held out, so no gate can judge this version; `regrade task new` makes a task with some")


def _train(
    settings: Settings,
    name: str | None,
    data: Path | None,
    columns: tuple[str | None, str | None],
    *,
    quick: bool,
    seed: int | None,
) -> Trained:
    """Train the task `name`, or the one that `data` is for, and list the rows that are not used."""
    from tasks.catalogue import find_task

    if data is None:
        folder = find_task(settings, name or "")  # before the learning libraries, which take seconds to import
        return _learn(settings, folder, None, columns, quick=quick, seed=seed)
    from training.own_data import task_for_data

    own = task_for_data(settings, data, name, *columns)
    if not own.made:
        return _learn(settings, own.folder, data, columns, quick=quick, seed=seed)
    say(f"made the task {own.folder.task.name} in {own.folder.folder}")
    try:
        # From the file, not from the folder's copy of its clean rows: what is not used is told by the file's lines.
        return _learn(settings, own.folder, data, columns, quick=quick, seed=seed)
    except BaseException:  # Ctrl-C too: a task whose labels were guessed wrongly would stand in the way of the next try
        shutil.rmtree(own.folder.folder, ignore_errors=True)
        say(f"removed the task {own.folder.task.name} again, since nothing was trained", "yellow")
        raise


def _learn(
    settings: Settings,
    folder: TaskFolder,
    data: Path | None,
    columns: tuple[str | None, str | None],
    *,
    quick: bool,
    seed: int | None,
) -> Trained:
    from training.train import train as run

    return run(settings, folder, data, quick=quick, seed=seed, columns=columns)


def report_trained(settings: Settings, trained: Trained) -> None:
    """List on standard error the training and gold rows that are not used."""
    stem = f"{trained.manifest.task}-{trained.manifest.version}"
    report_faults(trained.faults, "training rows", settings.reports / f"{stem}-rows.txt")
    report_faults(trained.gold_faults, "gold rows", settings.reports / f"{stem}-gold-rows.txt")


def make_live(settings: Settings, task: str, version: str, wanted: bool | None) -> tuple[bool, str]:
    """Deploy `version` if it is `wanted`, or, where that is None, the task's first; tell whether, and what to say."""
    from feedback.deployments import record_deployment, record_first_deployment

    if wanted is False:
        return False, f"version {version} is saved; it is not live, as asked"
    with opened_store(settings) as store:
        if record_first_deployment(store, task, version, "first version", _ACTOR):
            return True, f"version {version} is live: it is the first of {task}"
        if wanted:
            reason = "trained with --deploy; no gate has judged it"
            record_deployment(store, task, version, reason, _ACTOR)
            return True, f"version {version} is live, though no gate has judged it; services take it up within 2 s"
    return False, (
        f"version {version} is saved but not live: {task} has a live version, and no gate has shown that this one is "
        "better. To make it live all the same, train with --deploy (the same seed and rows give the same model)"
    )


def _facts(trained: Trained) -> dict[str, Any]:
    from service.artifact import read_metrics
    from service.model_store import version_folder

    manifest = trained.manifest
    metrics = read_metrics(version_folder(manifest.task, manifest.version))
    return {
        "task": manifest.task,
        "version": manifest.version,
        "method": manifest.method,
        "measured_on": metrics["measured_on"],
        **manifest.summary,
        "ece_before": metrics["calibration"]["ece_before"],
        "ece_after": metrics["calibration"]["ece_after"],
        "int8_fp32_agreement": metrics["parity"]["int8_fp32_agreement"],
        "gate": manifest.gate.decision,
        "risk": manifest.risk.model_dump() if manifest.risk else None,
        "rows": metrics["rows"],
        "rows_not_used": len(trained.faults),
        "seconds": trained.seconds,
        "seconds_total": sum(trained.seconds.values()),
        "report": str(trained.report),
    }


def _print(facts: dict[str, Any]) -> None:
    scored = f"{facts['measured_on']} rows"
    rows = [
        (f"accuracy on {scored}", facts.get("accuracy")),
        (f"macro-F1 on {scored}", facts.get("macro_f1")),
        ("calibration error before", facts["ece_before"]),
        ("calibration error after", facts["ece_after"]),
        ("int8 agrees with fp32 on", facts["int8_fp32_agreement"]),
        ("error left unreviewed", facts["risk"]["note"] if facts["risk"] else None),
        ("training rows", f"{facts['rows']['train']:,} ({facts['rows_not_used']:,} not used)"),
        ("seconds", f"{facts['seconds_total']:.0f}"),
        ("report", facts["report"]),
    ]
    print_table(("", ""), rows, title=f"{facts['task']} {facts['version']} ({facts['method']})")
