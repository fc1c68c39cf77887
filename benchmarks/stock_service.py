"""The peers of `serving.py`: the same model behind stock BentoML, plain and batchable.

Given the same classifier, one worker a core, no access log, and `threads` so that synchronous work overlaps. Nothing
else is switched off: this is what an engineer gets who follows BentoML's documentation.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml

from service.classifier import Classified, load_classifier

_FOLDER = Path(os.environ["BENCH_VERSION_FOLDER"])
_OPTIONS: dict[str, Any] = {
    "workers": len(os.sched_getaffinity(0)),
    "traffic": {"timeout": 30},
    "logging": {"access": {"enabled": False}},
    "envs": [{"name": "OPENBLAS_NUM_THREADS", "value": "1"}, {"name": "OMP_NUM_THREADS", "value": "1"}],
}


def _as_json(classified: Classified, names: tuple[str, ...]) -> list[dict[str, Any]]:
    replies = []
    for row, probabilities in enumerate(classified.scores.probabilities):
        best = probabilities.argsort()[::-1][:3].tolist()
        replies.append(
            {
                "label": names[best[0]],
                "confidence": float(probabilities[best[0]]),
                "scores": [{"label": names[one], "score": float(probabilities[one])} for one in best],
                "out_of_scope": float(classified.scores.out_of_scope[row]),
            }
        )
    return replies


@bentoml.service(name="plain", **_OPTIONS)
class Plain:
    """One request, one run."""

    def __init__(self) -> None:
        """Load the model."""
        self.classifier = load_classifier(_FOLDER, verify=False)

    @bentoml.api
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify the texts of one request."""
        return _as_json(self.classifier.classify(texts), self.classifier.label_names)


@bentoml.service(name="batchable", **_OPTIONS)
class Batchable:
    """BentoML's adaptive batching over requests."""

    def __init__(self) -> None:
        """Load the model."""
        self.classifier = load_classifier(_FOLDER, verify=False)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify the texts of several requests."""
        return _as_json(self.classifier.classify(texts), self.classifier.label_names)
