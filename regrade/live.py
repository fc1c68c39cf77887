"""The version that answers for a task, opened in this process: no server is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regrade.operator import opened_store

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.deployments import Deployment
    from service.classifier import Classifier


def deployments(settings: Settings) -> dict[str, Deployment]:
    """Return the live deployment of every task that has one.

    Raises:
        UnavailableError: the store is away.
    """
    from feedback.deployments import live_deployments

    with opened_store(settings) as store:
        return live_deployments(store)


def live_version(settings: Settings, task: str) -> str:
    """Return the live version of `task`.

    Raises:
        NotFoundError: it has none.
        UnavailableError: the store is away.
    """
    from core.errors import NotFoundError

    deployment = deployments(settings).get(task)
    if deployment is None:
        raise NotFoundError(f"task {task!r} has no live model yet; train one with `regrade train {task}`")
    return deployment.version


def open_classifier(settings: Settings, task: str, version: str | None = None) -> Classifier:
    """Load `version` of `task`, or the live one, as the service would.

    Raises:
        TaskError: there is no such task.
        NotFoundError: the task has no live version, or no such version.
        ModelError: the version is damaged.
    """
    from service.classifier import load_classifier
    from service.model_store import version_folder
    from service.runner import choose_runner
    from tasks.catalogue import find_task

    find_task(settings, task)
    folder = version_folder(task, version or live_version(settings, task))
    return load_classifier(folder, choose_runner(settings.runner), cache=settings.cache)
