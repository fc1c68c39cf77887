"""What the first start does: every served task gets a live version if one can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import NotFoundError, RegradeError
from regrade.operator import opened_store
from regrade.output import say, warn

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.store import Store
    from tasks.catalogue import TaskFolder

ACTOR = "first start"
REASON = "first version"

_ROWS_A_SECOND = 60
"""Rows that fine-tuning passes over in a second on one core, roughly: measured at 35 to 85, by machine."""


def ensure_versions(settings: Settings) -> dict[str, str | None]:
    """Return the live version of each served task, after making first ones where there are none.

    A task without a deployment gets the newest version in the store that `regrade train` made and that fits it; failing
    that, a starter is trained now. An own task without any version is warned about, and None.

    Raises:
        RegradeError: a task is wrong, the store is away, or training fails.
    """
    from feedback.deployments import live_deployments
    from tasks.catalogue import find_tasks

    with opened_store(settings) as store:
        live = {task: deployment.version for task, deployment in live_deployments(store).items()}
        versions: dict[str, str | None] = dict(live)
        failures: list[Exception] = []
        tasks = find_tasks(settings)
        for name, folder in tasks.items():
            if name in live:
                _check_stored(name, live[name])
                continue
            try:
                versions[name] = _first_version(settings, store, folder)
            except (RegradeError, ImportError) as error:  # one task that cannot be trained must not stop the others
                failures.append(error)
                versions[name] = None
                warn(f"{name} has no model: {error}")
        found = {name: versions[name] for name in tasks}
        if failures and not any(found.values()):
            raise failures[0]
        return found


def _check_stored(task: str, version: str) -> None:
    """Warn when the live version is not on this host: another host that shares the database may have trained it."""
    from service.model_store import version_folder

    try:
        version_folder(task, version)
    except NotFoundError:
        warn(
            f"{task}: version {version} is live but is not in this host's model store, so its requests get 503; bring "
            f"it here with `bentoml models export` and `import`, or make another live: `regrade train {task} --deploy`"
        )


def _first_version(settings: Settings, store: Store, folder: TaskFolder) -> str | None:
    from feedback.deployments import live_deployments, record_first_deployment

    name = folder.task.name
    version = _newest_fitting(folder) or _trained(settings, folder)
    if version is None:
        return None
    if not record_first_deployment(store, name, version, REASON, ACTOR):
        version = live_deployments(store)[name].version  # another host was quicker
    return version


def _newest_fitting(folder: TaskFolder) -> str | None:
    """Return the newest stored version that was trained under the task's present revision and labels.

    Candidates of runs are passed over: nothing here knows any more what the gate said of them.
    """
    from service.model_store import list_versions

    task = folder.task
    fitting = [
        manifest
        for manifest in list_versions(task.name)
        if manifest.revision == task.revision and [label.name for label in manifest.labels] == task.label_names
    ]
    candidates = [manifest.version for manifest in fitting if manifest.is_candidate]
    if candidates:
        warn(
            f"{task.name}: {candidates[0]} is stored, and was made by a retraining run of which this database knows "
            f"nothing; if it should be live: `regrade promote {task.name} {candidates[0]} --force --reason WHY`"
        )
    for manifest in fitting:
        if not manifest.is_candidate:
            say(f"{task.name}: making version {manifest.version}, which was trained before, live")
            return manifest.version
    return None


def _trained(settings: Settings, folder: TaskFolder) -> str | None:
    from tasks.catalogue import STARTERS

    name = folder.task.name
    if folder.folder.parent != STARTERS or not folder.train_file.exists():
        warn(f"{name} has no model yet; train one with `regrade train {name}`, and it is served within 2 s")
        return None
    say(
        f"{name} has no model yet: training one now, which takes about {expected_minutes(folder)} on this machine",
        "bold",
    )
    from regrade.train import report_trained
    from training.train import train

    trained = train(settings, folder)
    report_trained(settings, trained)
    return trained.manifest.version


def expected_minutes(folder: TaskFolder) -> str:
    """Say roughly how long training takes: every epoch once, or twice where the recipe refits on all rows."""
    from core.settings import available_cores
    from regrade.task import count_rows

    recipe = folder.task.training
    passes = (2 if recipe.refit else 1) * recipe.epochs
    minutes = count_rows(folder.train_file) * passes / (_ROWS_A_SECOND * available_cores()) / 60 + 0.5
    return "a minute" if minutes < 1.5 else f"{minutes:.0f} minutes"
