"""What the API tells about tasks and model versions."""

from __future__ import annotations

import asyncio

from service.artifact import Manifest
from service.live import LiveModels
from service.model_store import list_versions


def describe_tasks(live: LiveModels) -> dict[str, object]:
    """Return the body of `GET /v1/tasks`: labels, revision, live version and thresholds of each task."""
    return {"tasks": [_task(live, name) for name in live.tasks]}


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
