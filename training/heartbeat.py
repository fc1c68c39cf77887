"""Signs of life of a process that works on the runs of a task: it keeps the lease, and says how far it is."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from core.errors import ConflictError, UnavailableError
from core.ids import new_id
from feedback.run_leases import find_holder, free_lease, take_lease
from feedback.run_queue import note_progress
from feedback.store import Store

BEAT_S = 2.0
"""Seconds between signs of life; the lease bears many that are missing."""

_LOOK_S = 0.5


class Heartbeat:
    """Renews the lease of `task` for `holder`, and writes the progress of a run, from a thread."""

    def __init__(self, store: Store, task: str) -> None:
        """Nothing beats before `start`."""
        self.holder = f"{socket.gethostname()[:60]} {os.getpid()} {new_id()[-8:]}"
        self._store = store
        self._task = task
        self._run_id: str | None = None
        self._now = self._written = ("", 0.0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {task}", daemon=True)

    def start(self) -> None:
        """Begin, with the lease taken."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and let others work on the task."""
        self._stopped.set()
        self._thread.join()
        with suppress(UnavailableError):  # it ends by itself
            free_lease(self._store, self._task, self.holder)

    def follow(self, run_id: str | None) -> None:
        """Write the progress of this run from now on; None: of none."""
        self._run_id = run_id

    def tell(self, what: str, share: float) -> None:
        """Hear that so much of `what` is done, 0 to 1; it is written with the next beat."""
        self._now = (what, share)

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_S):
            with suppress(UnavailableError):  # whether the lease outlives it, the next write of the run finds out
                take_lease(self._store, self._task, self.holder)
                self._write()

    def _write(self) -> None:
        now, run_id = self._now, self._run_id
        if run_id is not None and now != self._written:
            note_progress(self._store, run_id, round(now[1], 3), now[0])
            self._written = now


@contextmanager
def working_on(store: Store, task: str, *, wait: bool = True) -> Iterator[Heartbeat]:
    """Give the right to work on the runs of `task` until the block ends.

    Args:
        store: the store.
        task: the task.
        wait: wait for a holder of whom nothing is heard, until its lease is over.

    Raises:
        ConflictError: another process works on them.
        UnavailableError: the store is away.
    """
    heart = Heartbeat(store, task)
    while not take_lease(store, task, heart.holder):
        if not wait or not _is_silent(store, task):
            raise ConflictError(f"another process works on a run of {task}; `regrade runs list {task}` shows how far")
    heart.start()
    try:
        yield heart
    finally:
        heart.stop()


def _is_silent(store: Store, task: str) -> bool:
    """Wait for a sign of life of who has the lease; tell that there was none until its end."""
    first = find_holder(store, task)
    held = first
    while first is not None and held is not None:
        if held != first:
            return False
        time.sleep(_LOOK_S)
        held = find_holder(store, task)
    return True
