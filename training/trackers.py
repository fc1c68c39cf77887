"""Experiment trackers beside TensorBoard, by `REGRADE_TRACKERS`: a version is told to them when it is made and judged.

Their own variables say where they are: `MLFLOW_TRACKING_URI`, and `WANDB_MODE`, `WANDB_API_KEY`, `WANDB_BASE_URL`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from core.errors import RegradeError, SettingError
from core.settings import Settings, TrackerName
from feedback.runs import Run
from service.artifact import read_manifest, read_metrics
from service.model_store import version_folder
from training.job import Job
from training.tracked import Tracked, tracked

logger = logging.getLogger("regrade.trackers")

_PACKAGES: Mapping[TrackerName, str] = {"mlflow": "mlflow-skinny", "wandb": "wandb"}


def check_trackers(settings: Settings) -> None:
    """Check that the packages of the trackers that are asked for are installed.

    Raises:
        SettingError: one is not; names what to install.
    """
    for name in settings.trackers:
        if find_spec(name) is None:
            raise SettingError(
                f"REGRADE_TRACKERS names {name!r}, but the package {_PACKAGES[name]} is not installed in this "
                f"environment; install it with `pip install {_PACKAGES[name]}`, or take {name} out of the setting"
            )


def track_run(job: Job, run: Run) -> None:
    """Tell the trackers of the candidate of `run`, with what its gate said; nothing where it made none."""
    if run.version is not None and run.gate is not None:
        track_version(job.settings, run.task, run.version, run)


def track_version(settings: Settings, task: str, version: str, run: Run | None = None) -> None:
    """Tell the trackers of a version in this host's model store.

    What a tracker does not take is logged and lost: whether a model was learnt does not hang on who is told of it.
    """
    if not settings.trackers:
        return
    try:
        folder = version_folder(task, version)
        told = tracked(read_manifest(folder), read_metrics(folder), run)
    except (RegradeError, OSError) as error:
        logger.warning("no tracker is told of version %s of %s: %s", version, task, error)
        return
    for name in settings.trackers:
        try:
            _TRACKERS[name](told, settings.home)
        except Exception:  # whatever a client may raise, away or misconfigured
            logger.exception("%s was not told of version %s of %s", name, version, task)


def _to_mlflow(told: Tracked, home: Path) -> None:
    """Record an MLflow run named by the version, in the experiment `regrade/TASK`; by default in SQLite in the home."""
    import mlflow  # noqa: PLC0415 - an optional package

    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    mlflow.set_experiment(f"regrade/{told.task}")
    with mlflow.start_run(run_name=told.version, tags=dict(told.tags), log_system_metrics=False):
        mlflow.log_params(dict(told.choices))
        for number, figures in told.curves.items():
            mlflow.log_metrics(dict(figures), step=number)
        mlflow.log_metrics(dict(told.figures))


def _to_wandb(told: Tracked, home: Path) -> None:
    """Record a Weights & Biases run named by the version, in the project `regrade` and the group of the task.

    Nothing is sent but what is told: neither console nor code, and nothing about the machine.
    """
    import wandb  # noqa: PLC0415 - an optional package

    quiet = wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
    about = {"project": "regrade", "group": told.task, "name": told.version, "tags": [told.tags["method"]]}
    run = wandb.init(**about, config={**told.choices, **told.tags}, dir=home, settings=quiet, reinit="create_new")
    try:
        for number, figures in told.curves.items():
            run.log(dict(figures), step=number)
        run.summary.update(dict(told.figures))
    finally:
        run.finish()


_TRACKERS: Mapping[TrackerName, Callable[[Tracked, Path], None]] = {"mlflow": _to_mlflow, "wandb": _to_wandb}
