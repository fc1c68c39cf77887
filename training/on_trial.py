"""Advancing trials: what is counted of each is read, a pure function says what becomes of it, and one transaction does.

Whoever looks may die at any moment, and any number may look: the next look finds what was done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from core.errors import NotFoundError, RegradeError, UnavailableError
from feedback.runs import Run, find_run
from feedback.store import Store
from feedback.trial_corrections import read_corrections
from feedback.trial_figures import read_figures
from feedback.trial_moves import fail_trial, follow_trial, give_up_trial, promote_tried, raise_share
from feedback.trials import Trial, open_trials
from service.model_store import version_folder
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.trials import Move, Seen, next_move, part_after

logger = logging.getLogger("regrade.trials")

_CORRECTIONS_S = 60.0
"""Seconds between looks at what people corrected, which read many rows; before a step is left there is one anyway."""


class Advance:
    """Advances the trials of tasks; remembers when it last looked at corrections."""

    def __init__(self, store: Store) -> None:
        """Look at nothing yet."""
        self._store = store
        self._looked_at: dict[str, float] = {}

    def all(self, folders: Mapping[str, TaskFolder]) -> None:
        """Advance each trial of the tasks in `folders` by one move, where it is due.

        Raises:
            UnavailableError: the store is away.
        """
        mine = [trial for trial in open_trials(self._store) if trial.task in folders]
        self._looked_at = {trial.id: self._looked_at.get(trial.id, float("-inf")) for trial in mine}
        for trial in mine:
            try:
                self._advance(trial, folders[trial.task].task)
            except UnavailableError:
                raise
            except RegradeError as error:  # other tasks wait for their turn
                logger.warning("the %s of %s cannot be looked at: %s", trial.kind, trial.task, error)

    def task(self, folder: TaskFolder) -> Run | None:
        """Advance the trial of one task as far as it goes; return the run that is on trial still, or None.

        Raises:
            UnavailableError: the store is away.
        """
        while (trial := self._of(folder.task.name)) is not None and self._advance(trial, folder.task):
            pass
        return find_run(self._store, trial.run_id) if trial is not None else None

    def _of(self, task: str) -> Trial | None:
        return next((trial for trial in open_trials(self._store) if trial.task == task), None)

    def _advance(self, trial: Trial, task: Task) -> bool:
        """Do what is due; tell whether that was anything."""
        move = self._next(trial, task)
        if move.action == "wait" or not self._do(trial, task, move):
            return False
        logger.info("the %s of %s %s: %s, %s", trial.kind, trial.task, trial.version, move.action, move.message)
        return True

    def _next(self, trial: Trial, task: Task) -> Move:
        with self._store.read() as connection:
            steps = read_figures(connection, [trial.id]).get(trial.id, {})
            now = self._store.now(connection)
        move = next_move(trial, task.trial, Seen(now, steps))
        rests = time.monotonic() - self._looked_at.get(trial.id, float("-inf")) < _CORRECTIONS_S
        if trial.kind == "shadow" or move.action == "fail" or (move.action == "wait" and rests):
            return move
        self._looked_at[trial.id] = time.monotonic()
        return next_move(trial, task.trial, Seen(now, steps, read_corrections(self._store, task, trial)))

    def _do(self, trial: Trial, task: Task, move: Move) -> bool:
        if move.action == "fail":
            return fail_trial(self._store, trial, move.message)
        if move.action == "give_up":
            return give_up_trial(self._store, trial, move.message)
        if move.action == "raise":
            return raise_share(self._store, trial, move.share)
        part = part_after(trial.kind, task.trial)
        if part is not None:
            return follow_trial(self._store, trial, move.message, part.kind, part.share)
        return self._promote(trial, move.message)

    def _promote(self, trial: Trial, message: str) -> bool:
        try:
            return promote_tried(self._store, trial, message, version_folder) is not None
        except NotFoundError as error:
            logger.warning("%s; a scheduler of the host that has it makes it live", error)
            return False
