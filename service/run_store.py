"""Folders of runs on this host, under `REGRADE_HOME/runs`: what the retraining job keeps of each, and its report."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.ids import is_id

RUN_REPORT = "report.html"


def runs_folder(home: Path) -> Path:
    """Return the folder that holds a folder for each run."""
    return home / "runs"


def run_report_file(home: Path, run_id: str) -> Path:
    """Return where the report of a run is, if it is on this host."""
    return runs_folder(home) / run_id / RUN_REPORT


def stored_runs(home: Path) -> list[str]:
    """Return the ids of the runs that have a folder on this host, oldest first."""
    folder = runs_folder(home)
    return sorted(one.name for one in folder.iterdir() if is_id(one.name)) if folder.is_dir() else []


def delete_run(home: Path, run_id: str) -> None:
    """Remove the folder of a run for good.

    Raises:
        OSError: something in it cannot be removed.
    """
    shutil.rmtree(runs_folder(home) / run_id)
