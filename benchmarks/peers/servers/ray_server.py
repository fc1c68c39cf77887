"""Ray Serve: a replica a core, behind its HTTP proxy.

No dashboard, no log lines a request, a small object store. 64 requests may wait at each replica, so that the proxy
keeps both busy; more than that gains nothing.
"""

from __future__ import annotations

import logging
import signal

import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.peers.model import load_model, port, workers


@serve.deployment(
    num_replicas=workers(),
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 1},
    logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
)
class Classifier:
    """One replica."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = load_model()

    async def __call__(self, request: Request) -> JSONResponse:
        """Classify the texts of one request."""
        return JSONResponse(self.model.classify((await request.json())["texts"]))


if __name__ == "__main__":
    ray.init(
        num_cpus=workers(),
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port()})
    serve.run(Classifier.bind(), name="peer", route_prefix="/classify")  # type: ignore[attr-defined]
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
