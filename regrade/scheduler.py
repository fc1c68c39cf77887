"""`regrade scheduler`: a process of its own that begins runs of the retraining job when they are due or asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from regrade.environment import PROJECT, prepare, serving_environment
from regrade.operator import opened_store
from regrade.output import say

if TYPE_CHECKING:
    from core.settings import Settings
    from feedback.runs import Run
    from feedback.store import Store
    from tasks.catalogue import TaskFolder

EPILOG = (
    "Example: `regrade scheduler`. `regrade serve` starts one too; several on one database work on each run once.\n\n"
    "Exit codes: 0 stopped as asked (SIGTERM or Ctrl-C), 1 it failed, 2 wrong setting."
)

_AFTER_DEATH_S = 2.0
"""Seconds after a process of ours died of a run in which no other is begun."""


def scheduler() -> None:
    """Work on runs of the retraining job: those that somebody asked for, within a second, and those that are due.

    When a run is due by itself, each task says in `[retrain]` of its declaration. Live versions are watched as its
    `[watch]` says, and taken back where they disappoint.
    """
    settings = prepare()
    from training.trackers import check_trackers

    check_trackers(settings)
    from service.logs import configure_logging
    from training.scheduler import Scheduler

    configure_logging(settings.log_level)
    with opened_store(settings) as store:
        worker = Worker(settings, store)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, worker.stop)
        watching = threading.Thread(target=_watch, args=(settings, store, worker.stopping), name="watch", daemon=True)
        watching.start()
        say("the scheduler is at work")
        Scheduler(settings, store, worker.work).run(worker.stopping)
        watching.join(_AFTER_DEATH_S)


class Worker:
    """Works on runs: a fast one in this process, which is warm, a full one in a process of its own."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Begin nothing yet."""
        self.stopping = threading.Event()
        self._settings = settings
        self._store = store
        self._child: subprocess.Popen[bytes] | None = None

    def work(self, folder: TaskFolder, run: Run) -> None:
        """Work on `run`, which waits or was interrupted, until it is over.

        Raises:
            ConflictError: another process works on its task.
            RegradeError: a step of a fast run failed; of a full one its process says so.
        """
        if run.mode == "fast":
            from training.retrain import retrain_queued

            retrain_queued(self._settings, self._store, folder)
        else:
            self._work_apart(run)

    def stop(self, *_: Any) -> None:
        """Begin nothing more; a full run is interrupted, and gone on with by whoever comes next."""
        self.stopping.set()
        if self._child is not None:
            self._child.terminate()

    def _work_apart(self, run: Run) -> None:
        """Run the command that anybody could run; its memory goes with it."""
        command = [sys.executable, "-P", "-m", "regrade", "retrain", run.task, "--once", "--json"]
        command += [] if run.promote else ["--no-promote"]
        environment = serving_environment(self._settings) | {"PYTHONPATH": str(PROJECT)}
        self._child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed words
        try:
            if self.stopping.is_set():  # asked to stop before there was a child to tell
                self._child.terminate()
            code = self._child.wait()
        finally:
            self._child = None
        if code < 0:
            self.stopping.wait(_AFTER_DEATH_S)


def _watch(settings: Settings, store: Store, stopping: threading.Event) -> None:
    """Import what a fast run needs, which takes seconds; then watch the live versions: a run may take an hour."""
    import training.retrain  # noqa: F401
    from training.watchman import Watchman

    Watchman(settings, store).run(stopping)
