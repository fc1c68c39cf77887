"""The queue before a GPU: texts gather for a moment, and a thread computes while the loop reads, tokenises and replies.

A GPU takes about as long for one text as for many, so that a batch is worth waiting for; on a CPU it is not
(`service/batcher.py`).
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.answers import Answers
from service.batcher import Batcher, Slot, Window
from service.buckets import MAX_TEXTS, plan_buckets
from service.classifier import Judged
from service.metrics import Metrics

WAIT_S = 0.0015
"""Seconds that the first text waits for others while nothing is computed."""

AHEAD = 2
"""Batches handed to the thread at once: one is computed while the next is ready, tokenised and padded."""


class FillingBatcher(Batcher):
    """Collects the texts of all requests for a short time, and computes them beside the event loop.

    While a batch is computed the next one gathers, and goes when it is full or the one before is done.
    """

    SMALL_WINDOW = LARGE_WINDOW = Window(2 * MAX_TEXTS, 32_768)

    def __init__(
        self, metrics: Metrics, *, max_queue: int, batch_tokens: int, timeout_s: float, answers: Answers | None = None
    ) -> None:
        """Hold at most `max_queue` texts, for at most `timeout_s`; pad no batch beyond `batch_tokens`."""
        super().__init__(metrics, max_queue=max_queue, batch_tokens=batch_tokens, timeout_s=timeout_s, answers=answers)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead = 0
        self._texts_ahead = 0

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._scheduled or self._ahead == AHEAD:
            return
        taken = any(lane.slots or lane.batches for lane in self._lanes)
        full = taken or self.waiting_texts - self._texts_ahead >= MAX_TEXTS
        if full or not self._ahead:
            self._scheduled = True
            loop.call_later(0.0 if full else self._patience(), self._step, loop)

    def _patience(self) -> float:
        """Return the seconds for which the texts that wait may wait for others."""
        first = min(lane.requests[0].enqueued_at for lane in self._lanes if lane.requests)
        return max(0.0, first + WAIT_S - time.monotonic())

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand one batch to the thread."""
        self._scheduled = False
        try:
            slots = self._next()
            if slots:
                self._ahead += 1
                self._texts_ahead += len(slots)
                computed = loop.run_in_executor(self._thread, self._judged, slots)
                computed.add_done_callback(partial(self._computed, loop, slots))
        finally:
            self._go_on(loop)

    def _computed(
        self, loop: asyncio.AbstractEventLoop, slots: list[Slot], computed: asyncio.Future[list[Judged]]
    ) -> None:
        """Take a batch from the thread, and see what comes next."""
        self._ahead -= 1
        self._texts_ahead -= len(slots)
        try:
            self._deliver_all(slots, computed.result())
        except Exception as error:  # noqa: BLE001 - whatever is raised must reach those who wait
            self._failed(slots, error)
        finally:
            self._go_on(loop)

    def _cut(self, lengths: list[int]) -> list[list[int]]:
        return plan_buckets(lengths, self._batch_tokens)
