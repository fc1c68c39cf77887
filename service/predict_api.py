"""`POST /v1/tasks/{task}/predict`, and the door of BentoML's clients, which leads to the same."""

from __future__ import annotations

from core.roles import APPS
from service.access import granted_task
from service.exchange import Incoming, Reply, json_reply
from service.replies import PredictReply, TasksPredictReply
from service.requests import (
    PredictRequest,
    TasksPredictRequest,
    parse_predict,
    parse_predict_with_task,
    parse_predict_with_tasks,
)
from service.routing import Doc, Endpoint, Route
from service.worker import Worker

_DOC = Doc("Classify one text or up to 256", PredictReply, PredictRequest, problems=(429,))
_TASKS_DOC = Doc("Classify texts under several tasks", TasksPredictReply, TasksPredictRequest, problems=(404, 429))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of predictions; the first is the hot path."""
    api = _PredictApi(worker)
    return [
        Route("/v1/tasks/{task}/predict", {"POST": Endpoint(api.predict, APPS, once=True, json=True, doc=_DOC)}),
        Route("/v1/predict", {"POST": Endpoint(api.predict_tasks, APPS, once=True, json=True, doc=_TASKS_DOC)}),
        Route("/predict", {"POST": Endpoint(api.predict_by_bentoml, APPS, once=True, json=True)}),
    ]


class _PredictApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def predict(self, incoming: Incoming) -> Reply:
        """Answer a request that names its task in the path."""
        return await self._answer(incoming, parse_predict(await incoming.body()))

    async def predict_by_bentoml(self, incoming: Incoming) -> Reply:
        """Answer BentoML's clients: the same body with the task in it, through the same checks."""
        task, request = parse_predict_with_task(await incoming.body())
        granted_task(self._worker.live, incoming.caller, task)
        incoming.parameters["task"] = task
        return await self._answer(incoming, request)

    async def predict_tasks(self, incoming: Incoming) -> Reply:
        """Answer a request to several tasks; one that the caller has no grant for is not found, and nothing is done."""
        request = parse_predict_with_tasks(await incoming.body())
        for task in request.tasks:
            granted_task(self._worker.live, incoming.caller, task)
        predictor, caller = self._worker.predictor, incoming.caller
        return json_reply({"results": await predictor.predict_tasks(request.tasks, request, incoming.is_gone, caller)})

    async def _answer(self, incoming: Incoming, request: PredictRequest) -> Reply:
        task, caller = incoming.parameters["task"], incoming.caller
        reply = await self._worker.predictor.predict(task, request, incoming.is_gone, caller)
        incoming.version = str(reply["model_version"])
        return json_reply(reply)
