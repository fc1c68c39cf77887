"""Shadows: a candidate scores texts that the champion has answered, after the reply, and only while nothing waits.

A text that waits here is held back by whatever else there is to do, and given up where too many wait. What the
candidate says goes nowhere but into the counts: whether both gave the same label, and how long each took alone, one
after the other, so that the two times can be compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from random import random
from typing import NamedTuple

from service.batcher import Batcher
from service.candidates import OnTrial
from service.classifier import Classifier, Judged
from service.trial_counts import TrialCounts
from service.watching import watch

logger = logging.getLogger("regrade.trials")

MOST_WAITING = 256
"""Texts that wait to be scored at most."""

_REPLY_FIRST_S = 0.01
"""Seconds left for the reply whose texts these are."""

_BUSY_S = 0.005
"""Seconds between two looks whether the worker has time."""


class _Unseen(NamedTuple):
    """A text to score, redacted, and the id of the label that the champion gave it."""

    tried: OnTrial
    champion: Classifier
    text: str
    label_id: int


class Shadow:
    """Scores texts in the background of one worker, on its event loop."""

    def __init__(self, batcher: Batcher, counts: TrialCounts) -> None:
        """Score only while `batcher` holds nothing."""
        self._batcher = batcher
        self._counts = counts
        self._waiting: deque[_Unseen] = deque()
        self._offered = asyncio.Event()

    def offer(self, tried: OnTrial, champion: Classifier, judged: Sequence[Judged]) -> None:
        """Take a share of texts that were just judged; returns at once."""
        for one in judged:
            if random() >= tried.trial.share:  # noqa: S311 - no secret
                continue
            if len(self._waiting) >= MOST_WAITING:
                self._counts.add(tried.trial, "candidate", dropped=1)
                continue
            self._waiting.append(_Unseen(tried, champion, one.text, _label_id(champion, one)))
            self._offered.set()

    async def watch(self) -> None:
        """Score what is offered until cancelled, whatever goes wrong on the way."""
        await watch(self._score_all, _REPLY_FIRST_S, logger, "a text could not be scored unseen")

    async def _score_all(self) -> None:
        await self._offered.wait()
        self._offered.clear()
        await asyncio.sleep(_REPLY_FIRST_S)
        while self._waiting:
            if self._waiting[0].tried.over:
                self._waiting.popleft()
            elif self._batcher.waiting_texts:
                await asyncio.sleep(_BUSY_S)
            else:
                self._score(self._waiting.popleft())
                await asyncio.sleep(0)  # the loop reads what has come meanwhile

    def _score(self, unseen: _Unseen) -> None:
        trial, candidate = unseen.tried.trial, unseen.tried.candidate
        try:
            label_id, seconds = _alone(candidate, unseen.text)
        except Exception:  # whatever is wrong with a candidate, it is only counted
            logger.exception("version %s on trial failed at a text", trial.version)
            self._counts.add(trial, "candidate", errors=1)
            return
        self._counts.add(trial, "candidate", seconds, texts=1, agreements=int(label_id == unseen.label_id))
        self._counts.add(trial, "champion", _alone(unseen.champion, unseen.text)[1], texts=1)


def _alone(classifier: Classifier, text: str) -> tuple[int, float]:
    """Return the id of the label that a version gives one text, and the seconds it took."""
    started = time.perf_counter()
    best = int(classifier.score([classifier.prepare(text)]).probabilities[0].argmax())
    return classifier.manifest.labels[best].id, time.perf_counter() - started


def _label_id(classifier: Classifier, judged: Judged) -> int:
    return classifier.manifest.labels[int(judged.probabilities.argmax())].id
