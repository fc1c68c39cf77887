"""What the API tells about tasks and model versions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from core.roles import Caller
from feedback.deployments import Deployment, list_deployments, taken_back
from feedback.pins import list_pins
from feedback.runs import Judged, gate_of
from feedback.store import Store
from feedback.watches import list_watches
from service.artifact import Manifest, Risk
from service.live import LiveModels
from service.model_store import list_versions
from service.watch_view import WatchView, describe_watch


class TaskLabel(BaseModel):
    """A label of a task; its id outlives renames."""

    id: int
    name: str
    description: str


class TaskView(BaseModel):
    """A task as `GET /v1/tasks` shows it."""

    name: str
    kind: str
    title: str
    description: str
    languages: list[str]
    revision: int
    labels: list[TaskLabel]
    live_version: str | None
    thresholds: dict[str, float]
    scope_threshold: float | None
    risk: Risk | None


class TasksView(BaseModel):
    """Body of `GET /v1/tasks`."""

    tasks: list[TaskView]


class GateView(BaseModel):
    """What the gate said of a version, in which run, and against which champion; both null before it was judged."""

    decision: str
    reasons: list[str]
    run_id: str | None
    champion: str | None


class VersionView(BaseModel):
    """A model version as `GET /v1/models/{task}` shows it."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    live: bool
    pinned: bool
    revision: int
    method: str
    created_at: str
    metrics: dict[str, float]
    gate: GateView
    base: str
    snapshot_sha256: str
    taken_back: str | None = Field(description="Why the watch took it back; null: it did not.")


class ModelsView(BaseModel):
    """Body of `GET /v1/models/{task}`."""

    task: str
    live_version: str | None
    versions: list[VersionView]
    watch: WatchView | None = Field(description="How the live version does; null: no scheduler has looked yet.")


def describe_tasks(live: LiveModels, caller: Caller) -> dict[str, object]:
    """Return the body of `GET /v1/tasks`: labels, revision, live version and thresholds of each granted task."""
    return {"tasks": [_task(live, name) for name in live.tasks if caller.may_see(name)]}


def _task(live: LiveModels, name: str) -> dict[str, object]:
    task = live.folder(name).task
    manifest = live.manifest(name)
    return {
        "name": name,
        "kind": task.kind,
        "title": task.title,
        "description": task.description,
        "languages": task.languages,
        "revision": task.revision,
        "labels": [label.model_dump() for label in task.labels],
        "live_version": manifest.version if manifest else None,
        "thresholds": manifest.thresholds if manifest else {},
        "scope_threshold": manifest.scope_threshold if manifest else None,
        "risk": manifest.risk.model_dump() if manifest and manifest.risk else None,
    }


async def describe_models(live: LiveModels, store: Store, task: str) -> dict[str, object]:
    """Return the body of `GET /v1/models/{task}`: versions, newest first, with metrics, gate, and which is live.

    Raises:
        NotFoundError: no such task is served.
        UnavailableError: the store is away.
    """
    live.folder(task)
    manifests = await asyncio.to_thread(list_versions, task)
    judged = await asyncio.to_thread(gate_of, store, task)
    pinned = {pin.version for pin in await asyncio.to_thread(list_pins, store, task)}
    live_version = live.version(task)
    back = taken_back(await asyncio.to_thread(list_deployments, store, task))
    watches = await asyncio.to_thread(list_watches, store, [task])
    return {
        "task": task,
        "live_version": live_version,
        "versions": [
            describe_version(one, live_version, judged.get(one.version), back.get(one.version))
            | {"pinned": one.version in pinned}
            for one in manifests
        ],
        "watch": describe_watch(watches.get(task)),
    }


def describe_version(
    manifest: Manifest, live_version: str | None, judged: Judged | None = None, back: Deployment | None = None
) -> dict[str, object]:
    """Return what is shown of one version: what the gate said of it since it was made, and what took it back."""
    return {
        "version": manifest.version,
        "live": manifest.version == live_version,
        "revision": manifest.revision,
        "method": manifest.method,
        "created_at": manifest.created_at.isoformat(),
        "metrics": manifest.summary,
        "gate": _gate(manifest, judged),
        "base": manifest.base.name,
        "snapshot_sha256": manifest.snapshot_sha256,
        "taken_back": back.reason if back else None,
    }


def _gate(manifest: Manifest, judged: Judged | None) -> Mapping[str, object]:
    """Return the newest word on a version: its folder never changes, so that later ones stand with the runs."""
    if judged is None:
        return manifest.gate.model_dump() | {"run_id": None, "champion": None}
    reasons = list(judged.verdict.get("reasons", []))
    return {"decision": judged.decision, "reasons": reasons, "run_id": judged.run_id, "champion": judged.champion}
