"""The BentoML service: `bentoml serve service.app:Regrade` is what `regrade serve` runs.

This module is a process's entry point, the only place of `service` that reads settings from the environment.
"""

from __future__ import annotations

from typing import Any

import bentoml
import orjson

from core.errors import RegradeError
from core.settings import load_settings
from service.bento import register_carried_models
from service.exchange import App
from service.front import Front
from service.logs import configure_logging
from service.problems import problem_of
from service.requests import validated
from service.runner import suited
from service.worker import Worker, make_worker

_settings = suited(load_settings())


class FrontedService(bentoml.Service[Any]):
    """A BentoML service with our front before its application."""

    worker: Worker

    def to_asgi(self, is_main: bool = True) -> App:
        """Return the ASGI application of one worker process."""
        configure_logging(_settings.log_level)
        self.worker = make_worker(_settings)
        return Front(super().to_asgi(is_main), self.worker)


@bentoml.service(
    name="regrade",
    service_class=FrontedService,
    workers=_settings.workers,
    http={"host": _settings.host, "port": _settings.port},
    traffic={"timeout": 30},
    # What passes through BentoML is rare; tracing it costs more than answering it.
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
    # A worker is one core: numpy's BLAS would start a thread a core, which spin and take the time of other workers.
    envs=[{"name": "OPENBLAS_NUM_THREADS", "value": "1"}, {"name": "OMP_NUM_THREADS", "value": "1"}],
)
class Regrade:
    """Text classifiers that know when to ask a person."""

    bento_service: FrontedService

    @bentoml.on_deployment
    @staticmethod
    def register() -> None:
        """Deploy what a Bento carries; BentoML calls this once, before any worker starts."""
        configure_logging(_settings.log_level)
        register_carried_models(_settings, Regrade.bento)  # type: ignore[attr-defined]

    @bentoml.api(route="/predict")
    async def predict(  # noqa: PLR0913, PLR0917 - the contract's fields one by one, so that BentoML can describe them
        self,
        ctx: bentoml.Context,
        task: str,
        text: str | None = None,
        texts: list[str] | None = None,
        top_k: int = 3,
        language: str | None = None,
        subject: str | None = None,
        routing_key: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Classify one `text` or up to 256 `texts`: the same as `POST /v1/tasks/{task}/predict`."""
        values: dict[str, Any] = {"text": text, "texts": texts, "top_k": top_k, "language": language}
        values |= {"subject": subject, "routing_key": routing_key, "metadata": metadata}
        try:
            return await self.bento_service.worker.predictor.predict(task, validated(values))
        except RegradeError as error:
            return _as_problem(ctx, error)


def _as_problem(ctx: bentoml.Context, error: RegradeError) -> dict[str, Any]:
    status, body, headers = problem_of(error)
    ctx.response.status_code = status
    for name, value in headers:
        ctx.response.headers[name.decode()] = value.decode()
    content: dict[str, Any] = orjson.loads(body)
    return content
