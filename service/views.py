"""What the API tells about tasks and model versions."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict

from core.roles import Caller
from service.artifact import Manifest, Risk
from service.live import LiveModels
from service.model_store import list_versions


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
    """What the gate said of a version."""

    decision: str
    reasons: list[str]


class VersionView(BaseModel):
    """A model version as `GET /v1/models/{task}` shows it."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    live: bool
    revision: int
    method: str
    created_at: str
    metrics: dict[str, float]
    gate: GateView
    base: str
    snapshot_sha256: str


class ModelsView(BaseModel):
    """Body of `GET /v1/models/{task}`."""

    task: str
    live_version: str | None
    versions: list[VersionView]


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


async def describe_models(live: LiveModels, task: str) -> dict[str, object]:
    """Return the body of `GET /v1/models/{task}`: versions, newest first, with metrics, gate, and which is live.

    Raises:
        NotFoundError: no such task is served.
    """
    live.folder(task)
    manifests = await asyncio.to_thread(list_versions, task)
    live_version = live.version(task)
    return {
        "task": task,
        "live_version": live_version,
        "versions": [describe_version(manifest, live_version) for manifest in manifests],
    }


def describe_version(manifest: Manifest, live_version: str | None) -> dict[str, object]:
    """Return what is shown of one version."""
    return {
        "version": manifest.version,
        "live": manifest.version == live_version,
        "revision": manifest.revision,
        "method": manifest.method,
        "created_at": manifest.created_at.isoformat(),
        "metrics": manifest.summary,
        "gate": manifest.gate.model_dump(),
        "base": manifest.base.name,
        "snapshot_sha256": manifest.snapshot_sha256,
    }
