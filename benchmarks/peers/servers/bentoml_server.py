"""Stock BentoML, plain and batchable, a worker a core.

No access log and no more; nothing else is switched off: this is what an engineer gets who follows BentoML's
documentation. The plain method is asynchronous and computes in the event loop, which is faster here than its threads.
Batches of at most 64 texts, and a latency aim that never sheds load.
"""

from __future__ import annotations

from typing import Any

import bentoml

from benchmarks.peers.model import load_model, workers

_OPTIONS: dict[str, Any] = {
    "workers": workers(),
    "traffic": {"timeout": 30},
    "logging": {"access": {"enabled": False}},
    "envs": [{"name": "OPENBLAS_NUM_THREADS", "value": "1"}, {"name": "OMP_NUM_THREADS", "value": "1"}],
}


@bentoml.service(name="plain", **_OPTIONS)
class Plain:
    """One request, one run."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = load_model()

    @bentoml.api
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify the texts of one request."""
        return self.model.classify(texts)


@bentoml.service(name="batchable", **_OPTIONS)
class Batchable:
    """BentoML's adaptive batching over requests."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = load_model()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify the texts of several requests."""
        return self.model.classify(texts)
