"""Model versions in the BentoML model store: immutable, one tag `TASK:VERSION` each."""

from __future__ import annotations

import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from core.errors import ModelError, NotFoundError
from service.artifact import MANIFEST, Manifest, read_manifest

FRAMEWORK_LABEL = "regrade"
_VERSION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


def new_version() -> str:
    """Return a version that sorts by time, such as `20261122-031500-3fa9c1` (UTC, then a random part)."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def save_version(folder: Path) -> Manifest:
    """Copy the finished version in `folder` into the store, whole or not at all."""
    manifest = read_manifest(folder)
    with bentoml.models.create(
        f"{manifest.task}:{manifest.version}",
        labels={FRAMEWORK_LABEL: "1", "task": manifest.task, "method": manifest.method},
        metadata={"revision": manifest.revision, **manifest.summary},
    ) as model:
        for name in (*manifest.files, MANIFEST):
            shutil.copyfile(folder / name, model.path_of(name))
    return manifest


def version_folder(task: str, version: str) -> Path:
    """Return the folder of a version.

    Raises:
        NotFoundError: the store does not hold it.
    """
    if not _VERSION.fullmatch(version) or version == "latest":
        raise NotFoundError(f"no version {version!r} of {task}; `regrade models list {task}` shows those that exist")
    try:
        return Path(bentoml.models.get(f"{task}:{version}").path)
    except (NotFound, BentoMLException) as error:
        raise NotFoundError(
            f"no version {version!r} of {task} in the model store; `regrade models list {task}` shows those that exist"
        ) from error


def version_names(task: str) -> list[str]:
    """Return the versions of a task that are kept, whatever release made them."""
    try:
        return sorted(str(model.tag.version) for model in bentoml.models.list(task))
    except NotFound:  # no version of it was ever saved
        return []


def list_versions(task: str) -> list[Manifest]:
    """Return the manifests of a task's versions, newest first; versions this release cannot read are left out."""
    try:
        models = bentoml.models.list(task)
    except NotFound:  # no version of it was ever saved
        return []
    found = []
    for model in models:
        if model.info.labels.get(FRAMEWORK_LABEL) != "1":
            continue
        try:
            found.append(read_manifest(Path(model.path)))
        except ModelError:
            continue  # an older format: `doctor` reports it, and it can still be deleted by tag
    return sorted(found, key=lambda manifest: manifest.created_at, reverse=True)
