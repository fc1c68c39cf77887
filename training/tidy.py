"""After a run: old versions go, and what was kept of their runs, as `keep_versions` of the task says."""

from __future__ import annotations

import logging

from core.errors import RegradeError
from core.roles import REGRADE
from service.pruning import prune
from training.job import Job

logger = logging.getLogger("regrade.retrain")


def tidy_up(job: Job) -> None:
    """Prune the versions of the job's task on this host; what cannot be removed is tried again after the next run."""
    task = job.folder.task
    try:
        gone = prune(job.store, job.settings.home, REGRADE, task.name, task.retrain.keep_versions)
    except (RegradeError, OSError) as error:
        logger.warning("old versions of %s could not be removed: %s", task.name, error)
        return
    if gone.versions:
        logger.info("old versions of %s are removed: %s", task.name, ", ".join(gone.versions))
