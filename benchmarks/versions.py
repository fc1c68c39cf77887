"""What the benchmarks serve: the live version of a task, and tasks that ask as a benchmark wants."""

from __future__ import annotations

import re
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


def set_triage(folder: Path, rules: str) -> None:
    """Let the task in `folder` ask by `rules`, lines of its `[triage]`, and by no others."""
    declaration = folder / "task.toml"
    without = re.sub(r"^\[triage\]\n(?:(?!\[).*\n?)*", "", declaration.read_text(encoding="utf-8"), flags=re.MULTILINE)
    declaration.write_text(f"{without}\n[triage]\n{rules}\n", encoding="utf-8")
