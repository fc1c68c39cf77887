"""The watchman: looks again and again at how live versions do, beside the scheduler's own work.

A run may take an hour, in which the watch must go on. Several watchmen may look at one database: what follows from a
look is one transaction, and only if nobody else's came between.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from threading import Event

from core.errors import ConflictError, NotFoundError, RegradeError
from core.settings import Settings
from feedback.promotion import Change
from feedback.store import Store
from feedback.watch_outcomes import settle
from feedback.watches import Watched, read_watch
from service.model_store import check_version
from tasks.catalogue import find_tasks
from tasks.declaration import Task
from training.looking import look_until
from training.observing import Look, observe

logger = logging.getLogger("regrade.watch")

WATCHED_EVERY = timedelta(minutes=1)
"""Between looks at a version that may still be taken back."""

SETTLED_EVERY = timedelta(minutes=10)
"""Between looks at one that has been live for longer."""

_POLL_S = 5.0
_AFTER_FAILURE_S = 30.0

_REST = 50.0
"""What takes a second is done every so many seconds at most, so that the watch costs no more than 2 % of a core."""

_MOST_REST_S = 300.0
"""Seconds after which it is looked again whatever it costs: a bad version must not stay for long."""


class Watchman:
    """Looks at the live versions of the tasks that the settings name."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Do nothing before `run`."""
        self._settings = settings
        self._store = store
        self._rests_until: dict[str, float] = {}

    def run(self, stop: Event) -> None:
        """Go on until `stop` is set, whatever goes wrong."""
        look_until(
            stop,
            self.look,
            logger,
            "live versions cannot be watched",
            every_s=_POLL_S,
            after_failure_s=_AFTER_FAILURE_S,
        )

    def look(self) -> None:
        """Look at every task whose turn it is; one that cannot be looked at keeps nobody from looking at the others.

        Raises:
            TaskError: a task's declaration is wrong.
        """
        for folder in find_tasks(self._settings).values():
            task = folder.task
            try:
                if self._is_due(task):
                    self.look_at(task)
            except RegradeError as error:
                self._fail(task, error)
            except Exception as error:  # a defect of one task's watch
                self._fail(task, error)
                logger.exception("something went wrong; going on")

    def _fail(self, task: Task, error: Exception) -> None:
        self._rests_until[task.name] = time.monotonic() + _AFTER_FAILURE_S
        logger.warning("the live version of %s cannot be watched: %s", task.name, error)

    def look_at(self, task: Task) -> Change | None:
        """Look at the live version of `task` now; return what has become live because it was taken back.

        Raises:
            UnavailableError: the store is away.
        """
        began = time.monotonic()
        found = observe(self._settings, self._store, task)
        change = settle(self._store, found.live, found.before, _possible(task, found), found.step) if found else None
        self._rests_until[task.name] = time.monotonic() + min(_MOST_REST_S, _REST * (time.monotonic() - began))
        if change is not None:
            self._rests_until.pop(task.name)  # of the version that is live now nothing is known yet
            logger.warning("%s of %s was taken back: %s", change.previous, task.name, change.deployment.reason)
        return change

    def _is_due(self, task: Task) -> bool:
        if time.monotonic() < self._rests_until.get(task.name, 0.0):
            return False
        with self._store.read() as connection:
            kept, now = read_watch(connection, task.name), self._store.now(connection)
        if kept is None:
            return True
        until = kept.watched.until
        every = WATCHED_EVERY if until is not None and now < until else SETTLED_EVERY
        return now - kept.computed_at >= every


def _possible(task: Task, found: Look) -> Watched:
    """Return what was found; a version before that cannot be served is not gone back to, and the reason says so."""
    now = found.now
    if now.worse is None or found.before.worse is not None or not now.returns:
        return now
    try:
        check_version(task.name, str(now.before))
    except (NotFoundError, ConflictError) as error:
        return replace(now, returns=False, worse=f"{now.worse}; it cannot be taken back: {error}")
    return now
