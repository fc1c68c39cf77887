"""The way back from the spool to the store, in a thread of each worker; one of them forwards at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from core.errors import UnavailableError
from feedback.spool import Handler, Spool
from feedback.store import Store
from service.metrics import Metrics
from service.recorder import Recorder

logger = logging.getLogger("regrade.forwarder")

LOOK_S = 1.0
"""Seconds between looks at the spool, and at a store that is away."""


class Forwarder:
    """Notices that the store is back, and forwards what waits in the spool."""

    def __init__(self, recorder: Recorder, spool: Spool, store: Store, metrics: Metrics) -> None:
        """Nothing is done before `start`."""
        self._recorder = recorder
        self._spool = spool
        self._store = store
        self._metrics = metrics
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, handlers: Mapping[str, Handler]) -> None:
        """Begin to look; `handlers` write the kinds of facts that the spool may hold."""
        self._thread = threading.Thread(target=self._run, args=(handlers,), name="forwarder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after what is being forwarded now."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, handlers: Mapping[str, Handler]) -> None:
        while not self._end.wait(LOOK_S):
            try:
                self._look(handlers)
            except UnavailableError as error:
                logger.debug("nothing is forwarded: %s", error)
            except Exception:  # the thread must outlive whatever goes wrong
                logger.exception("the spool cannot be forwarded; trying again")

    def _look(self, handlers: Mapping[str, Handler]) -> None:
        back = not self._recorder.store_is_away.is_set() or self._noticed()
        waiting = self._spool.count()
        self._metrics.spooled(waiting)
        if waiting and back:
            self._metrics.records_lost(self._spool.forward(self._store, handlers))
            self._metrics.spooled(self._spool.count())

    def _noticed(self) -> bool:
        """Tell whether the store answers again, and let predictions go there if it does."""
        try:
            self._store.check()
        except UnavailableError:
            return False
        logger.info("the store answers again")
        self._recorder.store_is_away.clear()
        return True
