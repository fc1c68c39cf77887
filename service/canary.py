"""Who answers a request while a candidate is on trial: one version, wholly; and the champion, whatever happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from core.errors import CallerGoneError, OverloadedError
from feedback.trial_figures import Side
from service.batcher import Batcher
from service.candidates import OnTrial
from service.classifier import Classifier, Judged
from service.requests import PredictRequest
from service.shadow import Shadow
from service.trial_counts import TrialCounts

logger = logging.getLogger("regrade.trials")

_NOBODYS_FAULT = (CallerGoneError, OverloadedError)
"""What a request may end by without any version having failed."""


class Canary:
    """Judges the requests of tasks that have a candidate on trial, and counts what it sees."""

    def __init__(self, batcher: Batcher, shadow: Shadow, counts: TrialCounts) -> None:
        """Use what the worker holds."""
        self._batcher = batcher
        self._shadow = shadow
        self._counts = counts

    async def judge(
        self, tried: OnTrial, champion: Classifier, request: PredictRequest, is_gone: Callable[[], bool]
    ) -> tuple[Classifier, list[Judged]]:
        """Return what one version says of the request's texts, and which; in a shadow always the champion.

        A request at which the candidate fails is the champion's, and its caller notices nothing but the time.

        Raises:
            OverloadedError: the queue is full, or the request waited too long.
        """
        if tried.trial.kind == "shadow":
            judged = await self._batcher.submit(champion, request.all_texts, is_gone)
            self._shadow.offer(tried, champion, judged)
            return champion, judged
        if tried.answers(request.routing_key):
            try:
                judged = await self._counted(tried, "candidate", tried.candidate, request, is_gone)
            except _NOBODYS_FAULT:
                raise
            except Exception:  # whatever is wrong with a candidate, the champion answers
                logger.exception("version %s on trial failed; the champion answers", tried.trial.version)
                tried.failures += 1
                return champion, await self._batcher.submit(champion, request.all_texts, is_gone)
            tried.failures = 0
            return tried.candidate, judged
        return champion, await self._counted(tried, "champion", champion, request, is_gone)

    async def _counted(
        self,
        tried: OnTrial,
        side: Side,
        classifier: Classifier,
        request: PredictRequest,
        is_gone: Callable[[], bool],
    ) -> list[Judged]:
        started = time.perf_counter()
        try:
            judged = await self._batcher.submit(classifier, request.all_texts, is_gone)
        except _NOBODYS_FAULT:
            raise
        except Exception:
            self._counts.add(tried.trial, side, requests=1, errors=1)
            raise
        self._counts.add(tried.trial, side, time.perf_counter() - started, requests=1, texts=len(judged))
        return judged
