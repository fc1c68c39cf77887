"""The walk of a prediction: redact → batch → calibrate → triage → record → reply.

Both doors, HTTP and `@bentoml.api`, lead here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from weakref import WeakValueDictionary

from core.roles import Caller
from feedback.facts import Recording
from service.batcher import Batcher
from service.canary import Canary
from service.classifier import Classifier, Judged
from service.exchange import NOBODY
from service.heads import HeadsInUse, by_encoder
from service.live import LiveModels
from service.metrics import Metrics
from service.recorder import Recorder
from service.recordings import LEAST_SCORES, Recordings
from service.replies import prediction
from service.requests import PredictRequest

Said = list[tuple[dict[str, Any], str]]
"""Predictions of one task as they are replied, each with the text that was judged."""

Part = tuple[Classifier, Said]
"""What one version said of a request."""


def _never() -> bool:
    return False


class Predictor:
    """Answers checked requests with the live version of their task, or with the candidate that is on trial for it."""

    def __init__(
        self,
        live: LiveModels,
        batcher: Batcher,
        canary: Canary,
        recorder: Recorder | None,
        recordings: Recordings,
        metrics: Metrics,
    ) -> None:
        """Use what the worker holds; without a `recorder` nothing is remembered and nobody is asked."""
        self._live = live
        self._batcher = batcher
        self._canary = canary
        self._recorder = recorder
        self._recordings = recordings
        self._metrics = metrics
        self._heads: HeadsInUse = WeakValueDictionary()

    async def predict(
        self, task: str, request: PredictRequest, is_gone: Callable[[], bool] = _never, caller: Caller = NOBODY
    ) -> dict[str, object]:
        """Return the reply in the form of `PredictReply`, after what a person is asked about has been committed.

        The version is fixed here, before the first text waits, so that one reply never mixes two versions.

        Raises:
            NotFoundError: no such task is served.
            UnavailableError: the task has no live version.
            OverloadedError: the queue is full, or the request waited too long.
        """
        classifier = self._live.classifier(task)
        tried = self._live.candidates.of(task)
        with self._recorder.expecting() if self._recorder else nullcontext():
            if tried is None:
                judgements = await self._batcher.submit(classifier, request.all_texts, is_gone)
            else:
                classifier, judgements = await self._canary.judge(tried, classifier, request, is_gone)
            said = [self._said(classifier, judged, request.top_k) for judged in judgements]
        if self._recorder is not None:
            await self._remember(self._recorder, [(classifier, said)], request, caller)
        return _reply(classifier, said, request)

    async def predict_tasks(
        self,
        tasks: Sequence[str],
        request: PredictRequest,
        is_gone: Callable[[], bool] = _never,
        caller: Caller = NOBODY,
    ) -> dict[str, dict[str, object]]:
        """Return by task what `predict` would reply; those whose live versions stand on one encoder share its pass.

        All are recorded together; raises as `predict` does. Encoders come one after the other, so that no request is
        too large for a queue that is empty. Candidates on trial take no part.
        """
        classifiers = [self._live.classifier(task) for task in tasks]
        parts: dict[str, Part] = {}
        with self._recorder.expecting() if self._recorder else nullcontext():
            for heads in by_encoder(classifiers, self._heads):
                judgements = await self._batcher.submit(heads, request.all_texts, is_gone)
                for place, classifier in enumerate(heads.classifiers):
                    own = [judged.others[place - 1] if place else judged for judged in judgements]
                    said = [self._said(classifier, judged, request.top_k) for judged in own]
                    parts[classifier.manifest.task] = classifier, said
        if self._recorder is not None:
            await self._remember(self._recorder, list(parts.values()), request, caller)
        return {task: _reply(*parts[task], request) for task in tasks}

    def _said(self, classifier: Classifier, judged: Judged, top_k: int) -> tuple[dict[str, Any], str]:
        """Return one prediction, with at least `LEAST_SCORES` scores, and the text that was judged."""
        best = judged.probabilities.argsort()[::-1][: max(top_k, LEAST_SCORES)].tolist()
        said = prediction(classifier, judged, best)
        self._metrics.predicted(classifier, best[0], said["confidence"], said["out_of_scope"])
        return said, judged.text

    async def _remember(
        self, recorder: Recorder, parts: Sequence[Part], request: PredictRequest, caller: Caller
    ) -> None:
        """Have the predictions recorded, and say in each which item it became."""
        recordings = [self._recordings_of(classifier, said, request, caller) for classifier, said in parts]
        items = await recorder.remember([one for some in recordings for one in some])
        for (classifier, said), some in zip(parts, recordings, strict=True):
            for (one, _), recording in zip(said, some, strict=True):
                if recording.item is not None and recording.id in items:
                    one["review"] = {"item_id": items[recording.id], "reason": recording.item.reason}
                    self._metrics.asked(classifier, recording.item.reason)

    def _recordings_of(
        self, classifier: Classifier, said: Said, request: PredictRequest, caller: Caller
    ) -> list[Recording]:
        if request.metadata:
            request = request.model_copy(update={"metadata": classifier.redact.each(request.metadata)})
        task = self._live.folder(classifier.manifest.task).task
        return self._recordings.of(task, classifier.manifest, request, caller, said)


def _reply(classifier: Classifier, said: Said, request: PredictRequest) -> dict[str, object]:
    predictions = [one for one, _ in said]
    if request.top_k < LEAST_SCORES:
        for one in predictions:
            del one["scores"][request.top_k :]
    manifest = classifier.manifest
    return {"task": manifest.task, "model_version": manifest.version, "predictions": predictions}
