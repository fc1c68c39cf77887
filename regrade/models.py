"""`regrade models`: the versions of each task's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import deployments
from regrade.options import AsJson, TaskName
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from service.artifact import Manifest

app = typer.Typer(no_args_is_help=True, help="List and show model versions.")


@app.command("list", epilog="Example: `regrade models list support-intent`")
def list_models(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task's; default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the versions in the model store, newest first, and which are live."""
    settings = prepare()
    from service.model_store import list_versions
    from service.views import describe_version
    from tasks.catalogue import find_task, find_tasks

    names = [find_task(settings, task).task.name] if task else list(find_tasks(settings))
    live = {name: deployment.version for name, deployment in deployments(settings).items()}
    found = [
        {"task": name, **describe_version(manifest, live.get(name))}
        for name in names
        for manifest in list_versions(name)
    ]
    if as_json:
        print_json({"versions": found})
    elif found:
        columns = ("task", "version", "live", "method", "accuracy", "macro-F1", "gate")
        print_table(columns, [_row(version) for version in found])
    else:
        say(f"no versions yet; train one with `regrade train {task or 'TASK'}`")


@app.command("show", epilog="Example: `regrade models show support-intent live --json`")
def show(
    task: TaskName,
    version: Annotated[str, typer.Argument(help="A version that `regrade models list` shows, or `live`.")] = "live",
    as_json: AsJson = False,
) -> None:
    """Show one version: where it comes from, how good it is, and what it is made of."""
    settings = prepare()
    from core.errors import NotFoundError
    from service.artifact import read_manifest, read_metrics
    from service.model_store import version_folder
    from tasks.catalogue import find_task

    deployment = deployments(settings).get(find_task(settings, task).task.name)
    if version == "live" and deployment is None:
        raise NotFoundError(f"task {task!r} has no live model yet; train one with `regrade train {task}`")
    wanted = deployment.version if version == "live" and deployment else version
    folder = version_folder(task, wanted)
    manifest = read_manifest(folder)
    is_live = deployment is not None and deployment.version == wanted
    facts = {"folder": str(folder), "live": is_live, "manifest": manifest.model_dump(mode="json")}
    if as_json:
        print_json(facts | {"metrics": read_metrics(folder)})
        return
    since = f"since {deployment.created_at:%Y-%m-%d %H:%M} UTC: {deployment.reason}" if is_live and deployment else "no"
    print_table(("", ""), [*_headlines(manifest), ("live", since), ("folder", folder)])
    if manifest.summary:
        print_table(("metric", "value"), list(manifest.summary.items()))


def _row(version: dict[str, Any]) -> tuple[Any, ...]:
    metrics = version["metrics"]
    live = "live" if version["live"] else ""
    scores = (metrics.get("accuracy"), metrics.get("macro_f1"))
    return version["task"], version["version"], live, version["method"], *scores, version["gate"]["decision"]


def _headlines(manifest: Manifest) -> list[tuple[str, Any]]:
    return [
        ("task", manifest.task),
        ("version", manifest.version),
        ("made", f"{manifest.created_at:%Y-%m-%d %H:%M} UTC"),
        ("method", manifest.method),
        ("labels", f"{len(manifest.labels)} (revision {manifest.revision})"),
        ("base", f"{manifest.base.name} ({manifest.base.licence})"),
        ("gate", "; ".join([manifest.gate.decision, *manifest.gate.reasons])),
        ("temperature", manifest.temperature),
        *_triage(manifest),
        ("snapshot", manifest.snapshot_sha256),
        *(("file", f"{name} sha256:{digest[:16]}…") for name, digest in manifest.files.items()),
    ]


def _triage(manifest: Manifest) -> list[tuple[str, Any]]:
    """Say when a person is asked, and what is promised of the answers that nobody looks at."""
    risk, scope = manifest.risk, manifest.scope_threshold
    if risk is None or scope is None:
        return [("triage", "no thresholds were fitted; train again for some")]
    least = min(manifest.thresholds.values(), default=0.0)
    return [
        ("triage", f"asks below a confidence of {least:.4g} or above an out-of-scope score of {scope:.4g}"),
        ("risk", f"at most {risk.max_error:.1%} wrong unreviewed, {risk.confidence:.0%} sure: {risk.note}"),
    ]
