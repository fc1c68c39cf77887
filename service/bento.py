"""Packing the service and the live versions into a Bento, and unpacking them where it is served."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bentoml
import yaml

from core.errors import NotFoundError
from core.settings import Settings
from feedback.deployments import live_deployments, record_first_deployment
from feedback.store import open_store
from service.model_store import FRAMEWORK_LABEL
from tasks.catalogue import find_tasks

logger = logging.getLogger("regrade.bento")


_ROOMS = ("core", "tasks", "feedback", "service")
_DECLARATION = ("task.toml", "guideline.md")


def build_bento(settings: Settings, project: Path) -> str:
    """Build a Bento from `project`'s `bentofile.yaml` with the live versions of the served tasks; return its tag.

    The user's own tasks travel as their declarations: no task's rows are packed.

    Raises:
        NotFoundError: no served task has a live version, so that the Bento could answer nothing.
    """
    with closing(open_store(settings.store_url)) as store:
        deployments, tasks = live_deployments(store), find_tasks(settings)
    models = [f"{task}:{deployments[task].version}" for task in sorted(tasks) if task in deployments]
    if not models:
        raise NotFoundError("no task has a live version to put into a Bento; train one with `regrade train TASK`")
    options: dict[str, Any] = yaml.safe_load((project / "bentofile.yaml").read_text(encoding="utf-8"))
    options["python"] = {**options.get("python", {}), "packages": _serving_packages()}
    with TemporaryDirectory(prefix="regrade-bento-") as work:
        context = Path(work)
        _gather(project, context, [folder.folder for folder in tasks.values()])
        bento = bentoml.bentos.build(build_ctx=str(context), models=models, **options)
    return str(bento.tag)


def _gather(project: Path, context: Path, task_folders: list[Path]) -> None:
    """Copy what a Bento needs into `context`: the serving rooms, and the declarations of the served tasks only."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.csv")
    for room in _ROOMS:
        shutil.copytree(project / room, context / room, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(project / name, context)
    for folder in task_folders:
        target = context / "tasks" / folder.name
        target.mkdir(exist_ok=True)
        for name in _DECLARATION:
            if (folder / name).exists():
                shutil.copy(folder / name, target)


def export_bento(tag: str, file: Path) -> Path:
    """Write the Bento `tag` of the store to `file`, in the form that `bentoml import` takes; return its path."""
    return Path(bentoml.bentos.export_bento(tag, str(file.absolute()), "bento"))


def _serving_packages() -> list[str]:
    """Return what the serving rooms need, as `pyproject.toml` says it: the dependencies without any extra."""
    return [need for need in requires("regrade") or [] if "extra ==" not in need]


def register_carried_models(settings: Settings, bento: Any) -> None:
    """Deploy the versions that a served Bento carries, for each task that has no deployment yet.

    `bento` is None when the service runs from its folder: then there is nothing to do.
    """
    if bento is None:
        return
    with closing(open_store(settings.store_url)) as store:
        for info in bento.info.all_models:
            model = bentoml.models.get(info.tag)
            if model.info.labels.get(FRAMEWORK_LABEL) != "1":
                continue
            task = model.info.labels["task"]
            if record_first_deployment(store, task, str(model.tag.version), f"came with {bento.tag}", "bento"):
                logger.info("task %s: version %s came with the Bento", task, model.tag.version)
