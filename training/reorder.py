"""What waits for people, judged again by the version that is live now, so that they answer what it still doubts."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core.errors import RegradeError, UnavailableError
from core.settings import Settings
from feedback.deployments import live_deployments
from feedback.reordering import Waiting, read_waiting, reorder
from feedback.store import Store
from service.artifact import SCOPE
from service.classifier import softmax
from service.scope import load_scope
from service.triage import urgency_under
from tasks.catalogue import TaskFolder
from training.champion import Champion, open_champion

logger = logging.getLogger("regrade.reorder")

MOST = 5_000
"""Items from the front of a queue that are judged again: with an encoder that has not met them, seconds of one core."""


class QueueOrder:
    """Keeps the queues of tasks in the order of their live versions' doubt."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Know nothing of the order; the first look judges it."""
        self._settings = settings
        self._store = store
        self._judged_by: dict[str, str] = {}

    def keep(self, tasks: Mapping[str, TaskFolder]) -> None:
        """Judge the queue of each of `tasks` that has got another live version since the last look.

        A version that cannot be opened, or knows other labels than the task today, leaves its queue as it is.

        Raises:
            UnavailableError: the store is away.
        """
        for name, deployment in live_deployments(self._store).items():
            if name not in tasks or self._judged_by.get(name) == deployment.version:
                continue
            try:
                n = reorder_queue(self._settings, self._store, tasks[name], deployment.version)
                logger.info("%d waiting items of %s stand as %s doubts them", n, name, deployment.version)
            except UnavailableError:
                raise
            except RegradeError as error:
                logger.info("the queue of %s stays as it is: %s", name, error)
            self._judged_by[name] = deployment.version


def reorder_queue(settings: Settings, store: Store, folder: TaskFolder, version: str) -> int:
    """Put the items that wait for people in the order of the doubt of `version`; return how many were judged.

    Raises:
        ModelError: the version is damaged, or does not fit the task of today.
        NotFoundError: the model store does not hold it.
        UnavailableError: the store is away.
    """
    waiting = read_waiting(store, folder.task.name, MOST)
    if waiting:
        champion = open_champion(settings, folder.task, version)
        reorder(store, waiting, _urgencies(champion, folder.task.label_names, waiting))
    return len(waiting)


def _urgencies(champion: Champion, labels: list[str], waiting: list[Waiting]) -> dict[str, float]:
    embeddings = champion.embed([one.text for one in waiting])
    logits = champion.head.logits(embeddings)
    outside = load_scope(champion.folder / SCOPE).scores(embeddings, logits)
    chances = softmax(logits, champion.manifest.temperature)
    best = chances.argmax(axis=1)
    return {
        one.item_id: urgency_under(champion.manifest, labels[place], float(row[place]), float(strange))
        for one, place, row, strange in zip(waiting, best.tolist(), chances, outside, strict=True)
    }
