"""Packing the service and the live versions into a Bento, and unpacking them where it is served."""

from __future__ import annotations

import logging
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import bentoml
import yaml

from core.errors import NotFoundError
from core.settings import Settings
from feedback.deployments import live_deployments, record_first_deployment
from feedback.store import open_store
from service.model_store import FRAMEWORK_LABEL

logger = logging.getLogger("regrade.bento")


def build_bento(settings: Settings, project: Path) -> str:
    """Build a Bento from `project`'s `bentofile.yaml` with the live versions inside; return its tag.

    Raises:
        NotFoundError: no task has a live version, so that the Bento could answer nothing.
    """
    deployments = live_deployments(open_store(settings.store_url))
    if not deployments:
        raise NotFoundError("no task has a live version to put into a Bento; train one with `regrade train TASK`")
    options: dict[str, Any] = yaml.safe_load((project / "bentofile.yaml").read_text(encoding="utf-8"))
    options["python"] = {**options.get("python", {}), "packages": _serving_packages()}
    models = [f"{task}:{deployment.version}" for task, deployment in sorted(deployments.items())]
    bento = bentoml.bentos.build(build_ctx=str(project), models=models, **options)
    return str(bento.tag)


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
    store = open_store(settings.store_url)
    for info in bento.info.all_models:
        model = bentoml.models.get(info.tag)
        if model.info.labels.get(FRAMEWORK_LABEL) != "1":
            continue
        task = model.info.labels["task"]
        if record_first_deployment(store, task, str(model.tag.version), f"came with {bento.tag}", "bento"):
            logger.info("task %s: version %s came with the Bento", task, model.tag.version)
    store.close()
