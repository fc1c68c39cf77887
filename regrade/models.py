"""`regrade models`: the versions of each task's model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import deployments
from regrade.operator import opened_store, operator
from regrade.options import AsJson, TaskName
from regrade.output import print_json, print_table, say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.deployments import Deployment
    from feedback.runs import Judged
    from service.artifact import Manifest

app = typer.Typer(no_args_is_help=True, help="List, show and prune model versions.")


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
    known = {name: _known(settings, name) for name in names}
    found = [
        {"task": name, **describe_version(one, live.get(name), *known[name].of(one.version))}
        | {"pinned": one.version in known[name].pinned}
        for name in names
        for one in list_versions(name)
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
    from service.views import describe_version
    from tasks.catalogue import find_task

    deployment = deployments(settings).get(find_task(settings, task).task.name)
    if version == "live" and deployment is None:
        raise NotFoundError(f"task {task!r} has no live model yet; train one with `regrade train {task}`")
    wanted = deployment.version if version == "live" and deployment else version
    folder = version_folder(task, wanted)
    manifest = read_manifest(folder)
    is_live = deployment is not None and deployment.version == wanted
    known = _known(settings, task)
    told = describe_version(manifest, None, *known.of(wanted))
    gate, back, pinned = told["gate"], told["taken_back"], wanted in known.pinned
    facts = {"folder": str(folder), "live": is_live, "pinned": pinned, "gate": gate, "taken_back": back}
    if as_json:
        manifest_and_more = {"manifest": manifest.model_dump(mode="json"), "metrics": read_metrics(folder)}
        print_json(facts | manifest_and_more)
        return
    since = f"since {deployment.created_at:%Y-%m-%d %H:%M} UTC: {deployment.reason}" if is_live and deployment else "no"
    about: list[tuple[str, object]] = [("live", since), ("pinned", "yes" if pinned else "no"), ("folder", folder)]
    about += [("taken back", back)] if back else []
    print_table(("", ""), [*_headlines(manifest, gate), *about])
    if manifest.summary:
        print_table(("metric", "value"), list(manifest.summary.items()))


@app.command("prune", epilog="Example: `regrade models prune support-intent --keep 5 --dry-run`")
def prune(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task's; default: all.")] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Newest versions that stay; default: `keep_versions` of the task.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete old versions from this host's model store, and what was kept of their runs.

    Never the live one, the one before it, a pinned one, or one that an unfinished run needs.
    """
    settings = prepare()
    from service.pruning import prune as run
    from tasks.catalogue import find_task, find_tasks

    folders = [find_task(settings, task)] if task else list(find_tasks(settings).values())
    with opened_store(settings) as store:
        gone = {
            one.task.name: run(
                store,
                settings.home,
                operator(),
                one.task.name,
                keep or one.task.retrain.keep_versions,
                dry_run=dry_run,
            )
            for one in folders
        }
    if as_json:
        versions = {name: one.versions for name, one in gone.items()}
        print_json({"pruned": versions, "runs": {name: one.runs for name, one in gone.items()}, "dry_run": dry_run})
        return
    for name, pruned in gone.items():
        going = [*pruned.versions, f"what was kept of {len(pruned.runs)} runs"] if pruned.runs else pruned.versions
        what = ("would go: " if dry_run else "deleted: ") + ", ".join(going) if going else "nothing to prune"
        say(f"{name}: {what}")


@dataclass(frozen=True)
class _Known:
    """What the gate said of each version of a task, which deployment took it back, and which versions are pinned."""

    judged: Mapping[str, Judged]
    taken_back: Mapping[str, Deployment]
    pinned: Collection[str]

    def of(self, version: str) -> tuple[Judged | None, Deployment | None]:
        return self.judged.get(version), self.taken_back.get(version)


def _known(settings: Settings, task: str) -> _Known:
    from feedback.deployments import list_deployments, taken_back
    from feedback.pins import list_pins
    from feedback.runs import gate_of

    with opened_store(settings) as store:
        pinned = {pin.version for pin in list_pins(store, task)}
        return _Known(gate_of(store, task), taken_back(list_deployments(store, task)), pinned)


def _row(version: dict[str, Any]) -> tuple[Any, ...]:
    metrics = version["metrics"]
    marks = {"live": version["live"], "taken back": version["taken_back"], "pinned": version["pinned"]}
    live = next((mark for mark, holds in marks.items() if holds), "")
    scores = (metrics.get("accuracy"), metrics.get("macro_f1"))
    return version["task"], version["version"], live, version["method"], *scores, version["gate"]["decision"]


def _headlines(manifest: Manifest, gate: Any) -> list[tuple[str, Any]]:
    return [
        ("task", manifest.task),
        ("version", manifest.version),
        ("made", f"{manifest.created_at:%Y-%m-%d %H:%M} UTC"),
        ("method", manifest.method),
        ("labels", f"{len(manifest.labels)} (revision {manifest.revision})"),
        ("base", f"{manifest.base.name} ({manifest.base.licence})"),
        ("gate", "; ".join([gate["decision"], *gate["reasons"]])),
        ("judged in", f"run {gate['run_id']}, against {gate['champion']}" if gate["run_id"] else "-"),
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
