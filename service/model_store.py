"""Model versions in the BentoML model store: immutable, one tag `TASK:VERSION` each."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore
from bentoml.exceptions import BentoMLException, NotFound

from core.errors import ConflictError, ModelError, NotFoundError
from service.artifact import MANIFEST, Manifest, read_manifest, verify_files

FRAMEWORK_LABEL = "regrade"
_SAVING = "saving-"
_LONG = 3600.0
_VERSION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


def new_version() -> str:
    """Return a version that sorts by time, such as `20261122-031500-3fa9c1` (UTC, then a random part)."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def save_version(folder: Path) -> Manifest:
    """Copy the finished version in `folder` into the store, whole or not at all, even if this process is killed.

    BentoML copies file by file, and cannot list a task's versions while one of them is half there: so it fills a store
    of its own, from which the version is moved over at one stroke.
    """
    manifest = read_manifest(folder)
    models = Path(BentoMLContainer.model_store_dir.get())
    _drop_unfinished(models.parent)
    with TemporaryDirectory(dir=models.parent, prefix=_SAVING) as scratch:
        with bentoml.models.create(
            f"{manifest.task}:{manifest.version}",
            labels={FRAMEWORK_LABEL: "1", "task": manifest.task, "method": manifest.method},
            metadata={"revision": manifest.revision, **manifest.summary},
            _model_store=ModelStore(scratch),
        ) as model:
            for name in (*manifest.files, MANIFEST):
                shutil.copyfile(folder / name, model.path_of(name))
        target = models / manifest.task / manifest.version
        target.parent.mkdir(parents=True, exist_ok=True)
        (Path(scratch) / manifest.task / manifest.version).rename(target)
    return manifest


def _drop_unfinished(home: Path) -> None:
    """Remove what processes left that were killed while they saved."""
    for left in home.glob(f"{_SAVING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LONG:
                shutil.rmtree(left)


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


def check_version(task: str, version: str) -> Manifest:
    """Return the manifest of a version that can be made live: it is there, and its files are as they were made.

    Raises:
        NotFoundError: the store does not hold it.
        ConflictError: it is damaged, or this release cannot read it.
    """
    folder = version_folder(task, version)
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest)
    except ModelError as error:
        raise ConflictError(f"version {version} of {task} cannot be made live: {error}") from error
    return manifest


def delete_version(task: str, version: str) -> None:
    """Take a version out of the store for good; nothing happens where it is not there."""
    with suppress(NotFound):
        bentoml.models.delete(f"{task}:{version}")


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
