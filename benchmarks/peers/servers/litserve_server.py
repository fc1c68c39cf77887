"""LitServe: a computing process and an API process a core.

Its faster queue (ZeroMQ) is on. No waiting for batches: on a CPU they gain nothing, and what is queued behind one text
would wait for the longest of them.
"""

from __future__ import annotations

from typing import Any

import litserve

from benchmarks.peers.model import load_model, port, workers


class Classifier(litserve.LitAPI):
    """The model behind LitServe, whose own decoding and encoding of JSON are what is wanted."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the model."""
        self.model = load_model()

    def predict(self, x: Any) -> dict[str, Any]:
        """Classify the texts of one request."""
        return {"predictions": self.model.classify(x["texts"])}


if __name__ == "__main__":
    server = litserve.LitServer(
        Classifier(api_path="/classify"), accelerator="cpu", workers_per_device=workers(), timeout=30, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=port(),
        num_api_servers=workers(),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
