"""The walk of a prediction: redact → batch → calibrate → triage → record → reply.

Both doors, HTTP and `@bentoml.api`, lead here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from core.roles import Caller
from service.batcher import Batcher, Judged
from service.classifier import Classifier
from service.exchange import NOBODY
from service.live import LiveModels
from service.metrics import Metrics
from service.recorder import Recorder
from service.recordings import LEAST_SCORES, Recordings
from service.replies import prediction
from service.requests import PredictRequest


def _never() -> bool:
    return False


class Predictor:
    """Answers checked requests with the live version of their task."""

    def __init__(
        self, live: LiveModels, batcher: Batcher, recorder: Recorder | None, recordings: Recordings, metrics: Metrics
    ) -> None:
        """Use what the worker holds; without a `recorder` nothing is remembered and nobody is asked."""
        self._live = live
        self._batcher = batcher
        self._recorder = recorder
        self._recordings = recordings
        self._metrics = metrics

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
        with self._recorder.expecting() if self._recorder else nullcontext():
            judgements = await self._batcher.submit(classifier, request.all_texts, is_gone)
            said = [self._said(classifier, judged, request.top_k) for judged in judgements]
        if self._recorder is not None:
            await self._remember(self._recorder, classifier, request, caller, said)
        predictions = [one for one, _ in said]
        if request.top_k < LEAST_SCORES:
            for one in predictions:
                del one["scores"][request.top_k :]
        return {"task": task, "model_version": classifier.manifest.version, "predictions": predictions}

    def _said(self, classifier: Classifier, judged: Judged, top_k: int) -> tuple[dict[str, Any], str]:
        """Return one prediction, with at least `LEAST_SCORES` scores, and the text that was judged."""
        best = judged.probabilities.argsort()[::-1][: max(top_k, LEAST_SCORES)].tolist()
        self._metrics.predicted(classifier, best[0], judged.probabilities[best[0]], judged.out_of_scope)
        return prediction(classifier, judged, best), judged.text

    async def _remember(
        self,
        recorder: Recorder,
        classifier: Classifier,
        request: PredictRequest,
        caller: Caller,
        said: list[tuple[dict[str, Any], str]],
    ) -> None:
        """Have the predictions recorded, and say in each which item it became."""
        manifest = classifier.manifest
        task = self._live.folder(manifest.task).task
        if request.metadata:
            request = request.model_copy(update={"metadata": classifier.redact.each(request.metadata)})
        recordings = self._recordings.of(task, manifest, request, caller, said)
        items = await recorder.remember(recordings)
        for (one, _), recording in zip(said, recordings, strict=True):
            if recording.item is not None and recording.id in items:
                one["review"] = {"item_id": items[recording.id], "reason": recording.item.reason}
                self._metrics.asked(classifier, recording.item.reason)
