"""Remembering predictions in the background of a worker: one thread, one commit for whatever waits together.

Those of which somebody is asked are committed before their reply; the others within two seconds. While the store is
away all go to the spool, and where that fails too they are counted as lost and the reply says that nobody is asked.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from core.errors import UnavailableError
from feedback.facts import Recording
from feedback.recording import PREDICTION, record
from feedback.spool import Spool
from feedback.store import Store
from service.metrics import Metrics

logger = logging.getLogger("regrade.recorder")

MOST_WAITING = 10_000
"""Predictions held in memory at most; what comes beyond that is lost, and counted."""

PAUSE_S = 0.5
"""Seconds that a prediction of which nobody is asked may wait for others, to share their commit."""

_LINGER_S = 0.02
"""Seconds that a commit waits at most for the requests that are being computed at that moment: a transaction costs as
much as twenty predictions in it."""

_ENOUGH = 32
"""Requests for which a commit waits no longer."""

_BATCH = 2_000
"""Predictions in one commit at most: those who write next wait for it."""

_PATIENCE_S = 10.0
"""Seconds after which a reply that waits for a store that neither answers nor fails goes by the spool instead."""


@dataclass(slots=True)
class _Request:
    """The predictions of one request; `future` is where its reply waits, None where it does not."""

    recordings: Sequence[Recording]
    future: asyncio.Future[dict[str, str]] | None


class Recorder:
    """Takes predictions from the event loop and writes them from a thread of its own."""

    def __init__(self, store: Store, spool: Spool, metrics: Metrics, most_waiting: int = MOST_WAITING) -> None:
        """Write to `store`, or to `spool` while that is away; nothing is written before `start`."""
        self._store = store
        self._spool = spool
        self._metrics = metrics
        self._most_waiting = most_waiting
        self._requests: deque[_Request] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._coming = 0
        self._urgent = self._closing = self._stuck = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.store_is_away = threading.Event()
        """Set when the store failed; until whoever finds that it answers again clears it, nothing waits for it."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Tell that a request is being computed in this block, and comes to `remember` right after it."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def remember(self, recordings: Sequence[Recording]) -> dict[str, str]:
        """Remember the predictions of one request; return the item of each that asks for one, by prediction.

        Waits until they are committed if any asks for an item, else not at all. What could not be kept has no item.
        """
        if self._stuck:
            return await asyncio.to_thread(self._spooled, recordings)
        waits = any(one.item for one in recordings)
        future: asyncio.Future[dict[str, str]] | None = None
        if waits:
            future = asyncio.get_running_loop().create_future()
        if not self._accept(_Request(recordings, future)):
            self._lose(recordings, "too many wait to be recorded")
            return {}
        if future is None:
            return {}
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await future
        except TimeoutError:
            # The thread hangs in its transaction: until it comes back nothing goes that way.
            logger.warning("the store neither answers nor fails; predictions go to the spool")
            self._stuck = True
            self.store_is_away.set()
            return await asyncio.to_thread(self._spooled, recordings)

    def _accept(self, request: _Request) -> bool:
        with self._changed:
            if self._closing or (self._held and self._held + len(request.recordings) > self._most_waiting):
                return False
            self._held += len(request.recordings)
            self._requests.append(request)
            first = request.future is not None and not self._urgent
            self._urgent |= first
            if first or (self._urgent and (not self._coming or len(self._requests) == _ENOUGH)):
                self._changed.notify()
            return True

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception:  # the thread must outlive whatever goes wrong
                logger.exception("predictions could not be recorded")
                self._metrics.records_lost(sum(len(request.recordings) for request in batch))
                _answer(batch, {})
            self._stuck = False
            with self._changed:
                self._held -= sum(len(request.recordings) for request in batch)

    def _next_batch(self) -> list[_Request]:
        """Wait for something to write; empty only at the end. Nobody waits longer than `PAUSE_S`."""
        with self._changed:
            while not self._requests or not self._urgent:
                if self._closing or (not self._changed.wait(PAUSE_S) and self._requests):
                    break
            if self._urgent:
                self._linger()
            batch, size = [], 0
            while self._requests and size < _BATCH:
                batch.append(self._requests.popleft())
                size += len(batch[-1].recordings)
            self._urgent = any(request.future for request in self._requests)
            return batch

    def _linger(self) -> None:
        """Wait a little for the others that are on their way."""
        end = time.monotonic() + _LINGER_S
        while self._coming and len(self._requests) < _ENOUGH and not self._closing:
            if not self._changed.wait(max(0.0, end - time.monotonic())):
                return

    def _write(self, batch: Sequence[_Request]) -> None:
        recordings = [one for request in batch for one in request.recordings]
        items = None if self.store_is_away.is_set() else self._recorded(recordings)
        _answer(batch, self._spooled(recordings) if items is None else items)

    def _recorded(self, recordings: Sequence[Recording]) -> dict[str, str] | None:
        """Write into the store; None where it is away."""
        started = time.perf_counter()
        try:
            with self._store.write() as connection:
                items = record(self._store, connection, recordings)
        except UnavailableError as error:
            logger.warning("predictions go to the spool: %s", error)
            self.store_is_away.set()
            return None
        self._metrics.recorded(len(recordings), time.perf_counter() - started)
        return items

    def _spooled(self, recordings: Sequence[Recording]) -> dict[str, str]:
        """Write into the spool, where every item keeps its own id; nothing is kept where that fails too."""
        try:
            self._spool.add(PREDICTION, {one.id: one for one in recordings})
        except UnavailableError as error:
            self._lose(recordings, str(error))
            return {}
        return {one.id: one.item.id for one in recordings if one.item}

    def _lose(self, recordings: Sequence[Recording], why: str) -> None:
        logger.error("%d predictions are not recorded: %s", len(recordings), why)
        self._metrics.records_lost(len(recordings))


def _answer(batch: Sequence[_Request], items: dict[str, str]) -> None:
    """Let the replies of `batch` go, by one call into their loop."""
    waiting = [request.future for request in batch if request.future is not None and not request.future.done()]
    if not waiting:
        return

    def settle() -> None:
        for future in waiting:
            if not future.done():
                future.set_result(items)

    with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
        waiting[0].get_loop().call_soon_threadsafe(settle)
