"""Files of a run, in a folder of its own under `REGRADE_HOME/runs`: what a later process needs, and the report."""

from __future__ import annotations

from pathlib import Path

from core.settings import Settings
from service.run_store import runs_folder

FOLDS = "folds.npz"


def run_folder(settings: Settings, run_id: str) -> Path:
    """Return the folder of a run, which is made if need be; only its owner may look into it."""
    folder = runs_folder(settings.home) / run_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
