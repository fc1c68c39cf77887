"""The scheduler: asks for runs that are due, and has those that wait worked on, one at a time.

Several may run on one database: whether a run is due is decided under a lock, and who works on it has its task's lease.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event

from core.errors import ConflictError, RegradeError
from core.roles import REGRADE
from core.settings import Settings
from feedback.new_reviews import read_known
from feedback.run_leases import find_holder
from feedback.run_queue import add_run, lock_runs
from feedback.runs import Run, runs_to_work_on
from feedback.store import Store
from tasks.catalogue import TaskFolder, find_tasks
from training.looking import look_until
from training.on_trial import Advance
from training.readiness import Readiness
from training.reorder import QueueOrder
from training.snapshot_erasure import settle_erasures
from training.triggers import due

logger = logging.getLogger("regrade.scheduler")

POLL_S = 0.5
"""Seconds between looks for runs that wait."""

TRIGGERS_S = 5.0
"""Seconds between looks at the triggers."""

_AFTER_FAILURE_S = 10.0
"""Seconds in which nothing is begun after something went wrong that no run tells of."""

Work = Callable[[TaskFolder, Run], None]
"""Works on a run of a task until it is over, or raises."""


class Scheduler:
    """Looks again and again at the tasks that the settings name."""

    def __init__(self, settings: Settings, store: Store, work: Work) -> None:
        """Do nothing before `run`."""
        self._settings = settings
        self._store = store
        self._work = work
        self._trials = Advance(store)
        self._order = QueueOrder(settings, store)
        self._ready = Readiness(settings, store, lambda: bool(runs_to_work_on(store)))
        self._tasks: dict[str, TaskFolder] = {}
        self._looked_at = float("-inf")

    def run(self, stop: Event) -> None:
        """Go on until `stop` is set, whatever goes wrong; what a run has begun is brought to an end first."""
        look_until(
            stop,
            self.look,
            logger,
            "runs cannot be looked after",
            every_s=POLL_S,
            after_failure_s=_AFTER_FAILURE_S,
        )

    def look(self) -> None:
        """Ask for what is due, and work on one run of each task that waits or was interrupted; then see to the queues.

        What was erased is taken out of files of snapshots, which services cannot do.

        Raises:
            TaskError: a task's declaration is wrong.
            UnavailableError: the store is away.
        """
        if time.monotonic() - self._looked_at >= TRIGGERS_S:
            settle_erasures(self._store, self._settings.home)
            self._tasks = dict(find_tasks(self._settings))
            self._trials.all(self._tasks)
            for folder in self._tasks.values():
                self.ask_if_due(folder)
            self._looked_at = time.monotonic()
        seen: set[str] = set()
        for run in runs_to_work_on(self._store):
            if run.task in self._tasks and run.task not in seen and find_holder(self._store, run.task) is None:
                seen.add(run.task)
                self._work_on(self._tasks[run.task], run)
        if not seen:
            self._order.keep(self._tasks)
            self._ready.keep(self._tasks)

    def ask_if_due(self, folder: TaskFolder) -> Run | None:
        """Ask for a run of the task in `folder` if one is due; each trigger counts once, however many look."""
        task = folder.task
        with self._store.read() as connection:  # mostly nothing is due, and a look should hold up no writer
            if due(read_known(self._store, connection, task.name), task.retrain) is None:
                return None
        with self._store.write() as connection:
            lock_runs(self._store, connection, task.name)
            found = due(read_known(self._store, connection, task.name), task.retrain)
            if found is None:
                return None
            run = add_run(self._store, connection, REGRADE, task.name, found.mode, found.trigger, promote=True)
        logger.info("a %s run of %s is due (%s): %s", run.mode, task.name, run.trigger, run.id)
        return run

    def _work_on(self, folder: TaskFolder, run: Run) -> None:
        try:
            self._work(folder, run)
        except ConflictError as error:
            logger.info("%s", error)  # another process was quicker
        except RegradeError as error:
            logger.warning("run %s of %s: %s", run.id, run.task, error)
