"""KServe's Python server: a worker a core, its version 1 protocol, no gRPC door, no access log.

Its workers get the `Classifier` by pickling, which an ONNX session cannot; each opens its own when it is first asked.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import kserve

from benchmarks.peers.model import Model, load_model, port, workers


@cache
def _model() -> Model:
    return load_model()


class Classifier(kserve.Model):
    """The model behind KServe's protocol."""

    def __init__(self) -> None:
        """Name it, and call it ready."""
        super().__init__("peer")
        self.ready = True

    async def predict(
        self,
        payload: dict[str, Any],
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Classify the texts of one request."""
        return {"predictions": _model().classify(payload["instances"])}


if __name__ == "__main__":
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    server = kserve.ModelServer(http_port=port(), workers=workers(), enable_grpc=False, enable_docs_url=False)
    server.start([Classifier()])
