"""The walk of a prediction: redact → batch → calibrate → reply. Both doors, HTTP and `@bentoml.api`, lead here."""

from __future__ import annotations

from collections.abc import Callable

from service.batcher import Batcher
from service.live import LiveModels
from service.metrics import Metrics
from service.replies import prediction
from service.requests import PredictRequest


def _never() -> bool:
    return False


class Predictor:
    """Answers checked requests with the live version of their task."""

    def __init__(self, live: LiveModels, batcher: Batcher, metrics: Metrics) -> None:
        """Use what the worker holds."""
        self._live = live
        self._batcher = batcher
        self._metrics = metrics

    async def predict(
        self, task: str, request: PredictRequest, is_gone: Callable[[], bool] = _never
    ) -> dict[str, object]:
        """Return the reply in the form of `PredictReply`.

        The version is fixed here, before the first text waits, so that one reply never mixes two versions.

        Raises:
            NotFoundError: no such task is served.
            UnavailableError: the task has no live version.
            OverloadedError: the queue is full, or the request waited too long.
        """
        classifier = self._live.classifier(task)
        predictions = []
        for judged in await self._batcher.submit(classifier, request.all_texts, is_gone):
            best = judged.probabilities.argsort()[::-1][: request.top_k].tolist()
            predictions.append(prediction(classifier, judged, best))
            self._metrics.predicted(classifier, best[0], judged.probabilities[best[0]], judged.out_of_scope)
        return {"task": task, "model_version": classifier.manifest.version, "predictions": predictions}
