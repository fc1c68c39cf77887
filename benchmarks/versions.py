"""The model that the benchmarks use: the live version of a task."""

from __future__ import annotations

import sys
from pathlib import Path

from core.settings import Settings
from feedback.deployments import live_deployments
from feedback.store import open_store
from service.model_store import version_folder


def live_folder(settings: Settings, task: str) -> Path:
    """Return the folder of the task's live version, or leave with one clear line when there is none."""
    deployment = live_deployments(open_store(settings.store_url)).get(task)
    if deployment is None:
        sys.exit(f"skipped: {task} has no live version in {settings.home}; run `make serve` or `regrade train {task}`")
    return version_folder(task, deployment.version)
