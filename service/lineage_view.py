"""Lineage as the API, the command line and the pages tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.errors import ModelError, NotFoundError
from feedback.deployments import Deployment
from feedback.lineage import Lineage, trace, trace_version
from feedback.lineage_facts import Made, Reached, SnapshotUse, VersionLine
from feedback.runs import Run
from feedback.snapshots import SnapshotRecord
from feedback.store import Store
from service.artifact import Manifest, read_manifest
from service.lineage_replies import LineageDeployment, LineageSnapshot, ReachedView
from service.model_store import version_folder


def find_lineage(store: Store, identifier: str, tasks: Sequence[str], most: int) -> Lineage:
    """Return the lineage of an id of one of `tasks`; a version may be one that only this host's model store knows.

    Raises:
        NotFoundError: nothing of these tasks has this id.
        UnavailableError: the store is away.
    """
    try:
        return trace(store, identifier, tasks, most=most)
    except NotFoundError:
        for task in tasks:
            if _stored(task, identifier) is not None:
                return trace_version(store, task, identifier, most=most)
        raise


def describe_lineage(found: Lineage) -> dict[str, Any]:
    """Return the body of `GET /v1/lineage/{id}`; moments stay what they are."""
    subject = found.subject
    return {
        "kind": subject.kind,
        "id": subject.id,
        "task": subject.task,
        "notes": found.notes,
        "prediction": asdict(found.prediction) if found.prediction else None,
        "item": asdict(found.item) if found.item else None,
        "answer": asdict(found.answer) if found.answer else None,
        "run": _run(found.run) if found.run else None,
        "model": _model(found.model) if found.model else None,
        "reached": None if found.reached is None else [_reached(one) for one in found.reached],
        "snapshot": _used(found.snapshot) if found.snapshot else None,
        "made": None if found.made is None else [_made(one) for one in found.made],
    }


def _stored(task: str, version: str) -> Manifest | None:
    """Return the manifest of a version in this host's model store; None where it is not there, or cannot be read."""
    try:
        return read_manifest(version_folder(task, version))
    except (NotFoundError, ModelError):
        return None


def _model(line: VersionLine) -> dict[str, Any]:
    manifest = _stored(line.task, line.version)
    known = line.run.snapshot_sha256 if line.run else manifest.snapshot_sha256 if manifest else None
    return {
        "version": line.version,
        "is_live": line.is_live,
        "stored": manifest is not None,
        "method": manifest.method if manifest else None,
        "parent": _parent(manifest),
        "snapshot_sha256": known,
        "run": _run(line.run) if line.run else None,
        "snapshot": _used(line.snapshot) if line.snapshot else None,
        "deployments": [_deployment(one) for one in line.deployments],
    }


def _parent(manifest: Manifest | None) -> str | None:
    """Return the version that another one was made of: a fast one keeps its encoder, a full one may begin with it."""
    if manifest is None:
        return None
    recipe = manifest.recipe
    learnt = manifest.method == "fast" or recipe.get("start") == "champion" or bool(recipe.get("blend"))
    champion = recipe.get("champion")
    return str(champion) if learnt and champion else None


def _run(run: Run) -> dict[str, Any]:
    gate = None
    if run.gate is not None:
        gate = {"decision": str(run.gate["decision"]), "reasons": list(run.gate.get("reasons", []))}
    names = ("mode", "trigger", "status", "champion", "version", "message", "finished_at")
    return {"run_id": run.id, "gate": gate, **{name: getattr(run, name) for name in names}}


def _deployment(one: Deployment) -> dict[str, Any]:
    return {name: getattr(one, name) for name in LineageDeployment.model_fields}


def _made(one: Made) -> dict[str, Any]:
    return {"run": _run(one.run), "deployments": [_deployment(time) for time in one.deployments]}


def _snapshot(record: SnapshotRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in LineageSnapshot.model_fields}


def _used(use: SnapshotUse) -> dict[str, Any]:
    return {**_snapshot(use.record), "items": [asdict(one) for one in use.items]}


def _reached(one: Reached) -> dict[str, Any]:
    used = [
        {"snapshot": _snapshot(reach.snapshot), "made": [_made(made) for made in reach.made]} for reach in one.used_by
    ]
    names = [name for name in ReachedView.model_fields if name != "used_by"]
    return {**{name: getattr(one, name) for name in names}, "used_by": used}
