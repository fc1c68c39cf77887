"""The queue between requests and the runner, in one worker: bounded, fair, and never idle while texts wait.

Everything runs on the event loop's thread: with one worker a core there is no second core to hand the work to, and
going through an executor costs more than it gives. The loop gets its turn after every batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import CallerGoneError, OverloadedError
from service.batching import plan_batches
from service.classifier import Classifier
from service.encoding import Encoding
from service.metrics import Metrics
from service.runner import Floats

logger = logging.getLogger("regrade.batcher")

SMALL = 8
"""Texts in a request up to which it goes before the rest of larger ones."""

WINDOW_TEXTS = 64
"""Texts taken from the queue at once, to be sorted by length: more gain little and make short requests wait."""

WINDOW_TOKENS = 2_048
"""Tokens after which a window is full; bounds how long a new short request waits behind long texts."""


@dataclass(slots=True)
class Judged:
    """What the model says of one text: `probabilities` `(n_labels,)`, out-of-scope score, and whether it was cut.

    `text` is the redacted one, which it judged.
    """

    probabilities: Floats
    out_of_scope: float
    truncated: bool
    text: str


@dataclass(slots=True)
class _Waiting:
    """A request in the queue; `taken` texts of it are in a window or done."""

    classifier: Classifier
    texts: Sequence[str]
    future: asyncio.Future[list[Judged]]
    is_gone: Callable[[], bool]
    enqueued_at: float
    taken: int = 0
    missing: int = 0
    results: list[Judged | None] = field(default_factory=list)


@dataclass(slots=True)
class _Slot:
    """One text of a request, tokenised and about to be computed."""

    request: _Waiting
    position: int
    encoding: Encoding


class Batcher:
    """Collects the texts of all requests and computes them in batches of like length."""

    def __init__(self, metrics: Metrics, *, max_queue: int, batch_tokens: int, timeout_s: float) -> None:
        """Hold at most `max_queue` texts, for at most `timeout_s`; pad no batch beyond `batch_tokens`."""
        self._metrics = metrics
        self._max_queue = max_queue
        self._batch_tokens = batch_tokens
        self._timeout_s = timeout_s
        self._small: deque[_Waiting] = deque()
        self._large: deque[_Waiting] = deque()
        self._batches: deque[list[_Slot]] = deque()
        self._waiting_texts = 0
        self._scheduled = False

    @property
    def waiting_texts(self) -> int:
        """Texts accepted and not yet computed."""
        return self._waiting_texts

    def submit(
        self, classifier: Classifier, texts: Sequence[str], is_gone: Callable[[], bool]
    ) -> asyncio.Future[list[Judged]]:
        """Queue `texts`, not redacted yet; the future gives one `Judged` a text, in their order.

        Redacting and tokenising are left to the batches too, so that a refused request costs nothing and a large one
        does not hold up the loop.

        `is_gone` tells whether the caller has disconnected: such a request is dropped before it is computed.

        Raises:
            OverloadedError: the queue is full (at once), or the request waited too long (from the future).
        """
        if self._waiting_texts and self._waiting_texts + len(texts) > self._max_queue:
            self._metrics.dropped(classifier, "full")
            raise OverloadedError(f"{self._waiting_texts} texts are waiting and {self._max_queue} may; try again later")
        loop = asyncio.get_running_loop()
        request = _Waiting(classifier, texts, loop.create_future(), is_gone, time.monotonic(), missing=len(texts))
        request.results = [None] * len(texts)
        request.future.add_done_callback(lambda _: self._settle(request))
        self._waiting_texts += len(texts)
        (self._small if len(texts) <= SMALL else self._large).append(request)
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
            if not self._batches:
                self._plan()
            if self._batches:
                slots = [slot for slot in self._batches.popleft() if not self._dropped(slot.request)]
                if slots:
                    self._compute(slots)
        finally:
            if self._batches or self._small or self._large:
                self._schedule(loop)

    def _plan(self) -> None:
        """Take a window of texts from the queue and cut it into batches, one model version at a time."""
        by_model: dict[int, list[_Slot]] = {}
        for slot in self._window():
            by_model.setdefault(id(slot.request.classifier), []).append(slot)
        for slots in by_model.values():
            for batch in plan_batches([len(slot.encoding.ids) for slot in slots], self._batch_tokens):
                self._batches.append([slots[position] for position in batch])

    def _window(self) -> Iterator[_Slot]:
        """Take small requests first, but leave half of the room for large ones when there are any."""
        room_for_small = WINDOW_TEXTS // 2 if self._large else WINDOW_TEXTS
        texts = tokens = 0
        for queue, room in ((self._small, room_for_small), (self._large, WINDOW_TEXTS)):
            tokens_allowed = WINDOW_TOKENS if queue is self._large or not self._large else WINDOW_TOKENS // 2
            while queue and texts < room and tokens < tokens_allowed:
                request = queue[0]
                if self._dropped(request):
                    queue.popleft()
                    continue
                slot = self._take(request)
                if request.taken == len(request.texts):
                    queue.popleft()
                texts += 1
                if slot is not None:
                    tokens += len(slot.encoding.ids)
                    yield slot

    def _take(self, request: _Waiting) -> _Slot | None:
        """Redact and tokenise the next text of a request; None, with the request ended, when that fails."""
        position = request.taken
        request.taken += 1
        try:
            if position == 0:
                self._metrics.queue_waited(request.classifier, time.monotonic() - request.enqueued_at)
            return _Slot(request, position, request.classifier.prepare(request.texts[position]))
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
        self._metrics.dropped(request.classifier, reason)
        request.future.set_exception(error)

    def _compute(self, slots: list[_Slot]) -> None:
        classifier = slots[0].request.classifier
        try:
            scores = classifier.score([slot.encoding for slot in slots])
            self._metrics.computed(classifier, [len(slot.encoding.ids) for slot in slots])
        except Exception as error:  # whatever is raised must reach those who wait, and nobody else
            if len(slots) > 1:  # find the culprit: the others in its batch must notice nothing
                for slot in slots:
                    if not slot.request.future.done():
                        self._compute([slot])
                return
            logger.exception("a batch of one text failed")
            if not slots[0].request.future.done():
                self._end(slots[0].request, "failed", error)
            return
        out_of_scope = scores.out_of_scope.tolist()
        for row, slot in enumerate(slots):
            encoding = slot.encoding
            judged = Judged(scores.probabilities[row], out_of_scope[row], encoding.truncated, encoding.text)
            self._deliver(slot, judged)

    def _deliver(self, slot: _Slot, judged: Judged) -> None:
        request = slot.request
        if request.future.done():
            return
        request.results[slot.position] = judged
        request.missing -= 1
        self._waiting_texts -= 1
        if request.missing == 0:
            request.future.set_result([result for result in request.results if result is not None])
