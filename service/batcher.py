"""The queue between requests and the runner, in one worker: bounded, fair, and never idle while texts wait.

Everything runs on the event loop's thread: with one worker a core there is no second core to hand the work to, and
going through an executor costs more than it gives. The loop gets its turn after every batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from core.errors import CallerGoneError, OverloadedError
from service.answers import Answers
from service.batching import plan_batches
from service.classifier import Classifier, Judged
from service.encoding import Encoding
from service.heads import Heads
from service.metrics import Metrics

logger = logging.getLogger("regrade.batcher")

SMALL = 8
"""Texts in a request up to which it is small: it waits for other small ones, and a batch of large ones at most."""

TAKEN_AT_ONCE = 64
"""Texts that are redacted and tokenised before the loop gets its turn."""


class Window(NamedTuple):
    """What is taken from a queue before it is sorted by length and cut: `texts` and `tokens` at most."""

    texts: int
    tokens: int


@dataclass(slots=True)
class _Waiting:
    """A request in the queue; `taken` texts of it are in a window or done."""

    classifier: Classifier | Heads
    texts: Sequence[str]
    future: asyncio.Future[list[Judged]]
    is_gone: Callable[[], bool]
    enqueued_at: float
    taken: int = 0
    missing: int = 0
    results: list[Judged | None] = field(default_factory=list)


@dataclass(slots=True)
class Slot:
    """One text of a request, tokenised and about to be computed."""

    request: _Waiting
    position: int
    encoding: Encoding


class _Lane:
    """The requests of one kind, the texts taken of them, and the batches planned of those."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.requests: deque[_Waiting] = deque()
        self.slots: list[Slot] = []
        self.batches: deque[list[Slot]] = deque()
        self.tokens = 0

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.requests or self.slots or self.batches)

    @property
    def is_full(self) -> bool:
        """Whether a window is taken, or all there is."""
        return not self.requests or len(self.slots) >= self.window.texts or self.tokens >= self.window.tokens


class Batcher:
    """Collects the texts of all requests and computes them in batches of like length: on a CPU, at once.

    Small requests and large ones have a lane each, and a batch of each goes in turn while both wait: neither starves
    the other.
    """

    SMALL_WINDOW = Window(64, 2_048)
    """A new request waits behind as much at most."""

    LARGE_WINDOW = Window(256, 8_192)
    """Of 256 texts a twentieth less is padding and cost of runs than of 64; nobody who is in a hurry waits for it."""

    def __init__(
        self, metrics: Metrics, *, max_queue: int, batch_tokens: int, timeout_s: float, answers: Answers | None = None
    ) -> None:
        """Hold at most `max_queue` texts, for at most `timeout_s`; pad no batch beyond `batch_tokens`.

        Texts whose `answers` are kept are not computed again; without them every text is.
        """
        self._metrics = metrics
        self._answers = answers
        self._max_queue = max_queue
        self._batch_tokens = batch_tokens
        self._timeout_s = timeout_s
        self._small, self._large = self._lanes = _Lane(self.SMALL_WINDOW), _Lane(self.LARGE_WINDOW)
        self._small_is_next = True
        self._waiting_texts = 0
        self._scheduled = False

    @property
    def waiting_texts(self) -> int:
        """Texts accepted and not yet computed."""
        return self._waiting_texts

    def submit(
        self, classifier: Classifier | Heads, texts: Sequence[str], is_gone: Callable[[], bool]
    ) -> asyncio.Future[list[Judged]]:
        """Queue `texts`, not redacted yet; the future gives one `Judged` a text, in their order.

        Of `Heads` it is what the first version says, with what the others say.

        Redacting and tokenising are left to the batches too, so that a refused request costs nothing and a large one
        does not hold up the loop.

        `is_gone` tells whether the caller has disconnected: such a request is dropped before it is computed.

        Raises:
            OverloadedError: the queue is full (at once), or the request waited too long (from the future).
        """
        if self._waiting_texts and self._waiting_texts + len(texts) > self._max_queue:
            self._count_dropped(classifier, "full")
            raise OverloadedError(f"{self._waiting_texts} texts are waiting and {self._max_queue} may; try again later")
        loop = asyncio.get_running_loop()
        request = _Waiting(classifier, texts, loop.create_future(), is_gone, time.monotonic(), missing=len(texts))
        request.results = [None] * len(texts)
        request.future.add_done_callback(lambda _: self._settle(request))
        self._waiting_texts += len(texts)
        (self._small if len(texts) <= SMALL else self._large).requests.append(request)
        self._schedule(loop)
        return request.future

    def _settle(self, request: _Waiting) -> None:
        """Give back the room of a request that ended early: failed, dropped, or cancelled by its caller."""
        self._waiting_texts -= request.missing
        request.missing = 0

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._step, loop)

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        """Compute one batch, then let the loop read and write before the next."""
        self._scheduled = False
        try:
            slots = self._next()
            if slots:
                self._compute(slots)
        finally:
            self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if any(self._lanes):
            self._schedule(loop)

    def _next(self) -> list[Slot]:
        """Return the next batch without what needs no computing any more; perhaps nothing of it is left, or ready."""
        both = self._small and self._large
        lane = self._small if self._small and (self._small_is_next or not both) else self._large
        self._small_is_next = lane is self._large
        if not lane.batches:
            self._take_some(lane)
            if lane.is_full:
                self._plan(lane)
        if not lane.batches:
            return []
        return [slot for slot in lane.batches.popleft() if not self._dropped(slot.request)]

    def _plan(self, lane: _Lane) -> None:
        """Cut the texts that were taken into batches, one encoder at a time."""
        by_encoder: dict[int, list[Slot]] = {}
        for slot in lane.slots:
            by_encoder.setdefault(id(slot.request.classifier.shared), []).append(slot)
        for slots in by_encoder.values():
            for batch in self._cut([len(slot.encoding.ids) for slot in slots]):
                lane.batches.append([slots[position] for position in batch])
        lane.slots, lane.tokens = [], 0

    def _cut(self, lengths: list[int]) -> list[list[int]]:
        """Cut texts of `lengths` tokens into batches of positions."""
        return plan_batches(lengths, self._batch_tokens)

    def _take_some(self, lane: _Lane) -> None:
        """Take texts until the lane's window is full, but not so many that the loop waits long."""
        for _ in range(TAKEN_AT_ONCE):
            while lane.requests and self._dropped(lane.requests[0]):
                lane.requests.popleft()
            if lane.is_full:
                return
            request = lane.requests[0]
            slot = self._take(request)
            if request.taken == len(request.texts):
                lane.requests.popleft()
            if slot is not None:
                lane.slots.append(slot)
                lane.tokens += len(slot.encoding.ids)

    def _take(self, request: _Waiting) -> Slot | None:
        """Redact and tokenise the next text of a request.

        None where its answer is kept, and delivered with that; or, with the request ended, when this fails.
        """
        position = request.taken
        request.taken += 1
        try:
            if position == 0:
                self._count_wait(request)
            if self._answers is not None:
                known = self._answers.find(request.classifier, request.texts[position])
                if known is not None:
                    self._deliver(request, position, known)
                    return None
            return Slot(request, position, request.classifier.prepare(request.texts[position]))
        except Exception as error:
            logger.exception("a text could not be tokenised")
            self._end(request, "failed", error)
            return None

    def _dropped(self, request: _Waiting) -> bool:
        """Tell whether a request needs no computing any more, and end it if it just became so."""
        if request.future.done():
            return True
        if request.is_gone():
            self._end(request, "gone", CallerGoneError())
        elif time.monotonic() - request.enqueued_at > self._timeout_s:
            message = f"the request waited longer than {self._timeout_s:g} s; try again later"
            self._end(request, "expired", OverloadedError(message))
        return request.future.done()

    def _end(self, request: _Waiting, reason: str, error: Exception) -> None:
        self._count_dropped(request.classifier, reason)
        request.future.set_exception(error)

    def _count_dropped(self, classifier: Classifier | Heads, reason: str) -> None:
        for one in classifier.classifiers:
            self._metrics.dropped(one, reason)

    def _count_wait(self, request: _Waiting) -> None:
        waited = time.monotonic() - request.enqueued_at
        for one in request.classifier.classifiers:
            self._metrics.queue_waited(one, waited)

    def _compute(self, slots: list[Slot]) -> None:
        try:
            found = self._judged(slots)
        except Exception as error:  # noqa: BLE001 - whatever is raised must reach those who wait, and nobody else
            self._failed(slots, error)
        else:
            self._deliver_all(slots, found)

    def _failed(self, slots: list[Slot], error: Exception) -> None:
        """Find the culprit of a failed batch: the others in it must notice nothing."""
        if len(slots) > 1:
            for slot in slots:
                if not slot.request.future.done():
                    self._compute([slot])
            return
        logger.error("a batch of one text failed", exc_info=error)
        if not slots[0].request.future.done():
            self._end(slots[0].request, "failed", error)

    def _deliver_all(self, slots: list[Slot], found: list[Judged]) -> None:
        for slot, judged in zip(slots, found, strict=True):
            if self._answers is not None:
                self._answers.keep(slot.request.classifier, judged)
            self._deliver(slot.request, slot.position, judged)

    def _judged(self, slots: list[Slot]) -> list[Judged]:
        """Compute a batch: one run of the encoder, and then each version's head on the texts that it is asked about."""
        encodings = [slot.encoding for slot in slots]
        first = slots[0].request.classifier
        logits, embeddings = first.compute(encodings)
        lengths = [len(encoding.ids) for encoding in encodings]
        if all(slot.request.classifier is first for slot in slots):
            self._metrics.computed(first.classifiers[0], lengths, max(lengths))
            return first.judged(encodings, logits, embeddings)
        found: dict[int, Judged] = {}
        for rows in _by_version(slots):
            version = slots[rows[0]].request.classifier
            self._metrics.computed(version.classifiers[0], [lengths[row] for row in rows], max(lengths))
            said = version.judged([encodings[row] for row in rows], logits[rows], embeddings[rows])
            found.update(zip(rows, said, strict=True))
        return [found[row] for row in range(len(slots))]

    def _deliver(self, request: _Waiting, position: int, judged: Judged) -> None:
        if request.future.done():
            return
        request.results[position] = judged
        request.missing -= 1
        self._waiting_texts -= 1
        if request.missing == 0:
            request.future.set_result([result for result in request.results if result is not None])


def _by_version(slots: Sequence[Slot]) -> list[list[int]]:
    """Return the rows of a batch that ask the same."""
    rows: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        rows.setdefault(id(slot.request.classifier), []).append(row)
    return list(rows.values())
