"""What a fast run needs of the live version, worked out while nothing waits: embeddings, near-copies, answers to gold.

The first run of a version would otherwise spend minutes on it, and what somebody corrects could not be live in seconds.
All of it is kept under `REGRADE_HOME/cache`, where the run finds it; nothing else changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from core.errors import RegradeError
from core.settings import Settings
from feedback.deployments import live_deployments
from feedback.store import Store
from tasks.catalogue import TaskFolder
from training.champion import Champion, open_champion
from training.evidence import gold_groups
from training.evidence_texts import gold_texts
from training.scored import GOLD_FOLDER, Scorer
from training.snapshot_choice import choose_rows
from training.snapshot_sources import read_material

logger = logging.getLogger("regrade.readiness")

_PART = 256
"""Texts that are embedded between two looks at whether something waits."""

_State = tuple[str, float, float]


class Readiness:
    """Gets tasks ready for fast runs, once for each live version and each change of the task's files."""

    def __init__(self, settings: Settings, store: Store, waits: Callable[[], bool]) -> None:
        """Do nothing before `keep`; `waits` tells whether something else is to be done first."""
        self._settings = settings
        self._store = store
        self._waits = waits
        self._ready: dict[str, _State] = {}

    def keep(self, tasks: Mapping[str, TaskFolder]) -> None:
        """Get ready what is not, until something waits; what cannot be got ready is left to the run, which says why.

        Raises:
            UnavailableError: the store is away.
        """
        for name, live in live_deployments(self._store).items():
            folder = tasks.get(name)
            if folder is None:
                continue
            state = (live.version, _changed(folder.train_file), _changed(folder.gold_file))
            if self._ready.get(name) == state:
                continue
            try:
                if not self._get_ready(folder, live.version):
                    return
            except RegradeError as error:
                logger.info("%s cannot be got ready for fast runs: %s", name, error)
            self._ready[name] = state

    def _get_ready(self, folder: TaskFolder, version: str) -> bool:
        """Work on one task; return whether it was finished."""
        settings, task = self._settings, folder.task
        champion = open_champion(settings, task, version)
        material = read_material(self._store, folder)
        texts = [*(row.text for row in material.base), *material.gold_texts]
        if not self._embed(champion, texts):
            return False
        with threadpool_limits(1):
            choose_rows(settings, task, material, lambda *_, **__: None)
        asked = gold_texts(task, material.gold)
        gold_groups(settings, asked)
        Scorer(task, version, settings.home / GOLD_FOLDER).score_gold(asked.texts)
        return True

    def _embed(self, champion: Champion, texts: Sequence[str]) -> bool:
        known = set(champion.cache.find(texts)[0])
        missing = [text for position, text in enumerate(texts) if position not in known]
        for start in range(0, len(missing), _PART):
            if self._waits():
                return False
            champion.embed(missing[start : start + _PART])
        return True


def _changed(file: Path) -> float:
    """Return when a file was changed; 0 for one that is not there."""
    return file.stat().st_mtime if file.exists() else 0.0
