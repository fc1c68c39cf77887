"""`GET /v1/tasks` and `GET /v1/models/{task}`."""

from __future__ import annotations

from core.roles import REVIEWERS
from service.exchange import Incoming, Reply, json_reply
from service.routing import Doc, Endpoint, Route
from service.views import ModelsView, TasksView, describe_models, describe_tasks
from service.worker import Worker

_TASKS = Doc("Tasks with labels, revision, live version and thresholds", TasksView)
_MODELS = Doc("Model versions of a task, newest first", ModelsView)


def routes(worker: Worker) -> list[Route]:
    """Return the routes that describe tasks and models."""
    api = _ModelsApi(worker)
    return [
        Route("/v1/tasks", {"GET": Endpoint(api.tasks, doc=_TASKS)}),
        Route("/v1/models/{task}", {"GET": Endpoint(api.models, REVIEWERS, doc=_MODELS)}),
    ]


class _ModelsApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def tasks(self, incoming: Incoming) -> Reply:
        """Describe the tasks that the caller has a grant for."""
        return json_reply(describe_tasks(self._worker.live, incoming.caller))

    async def models(self, incoming: Incoming) -> Reply:
        """Describe the versions of one task."""
        return json_reply(await describe_models(self._worker.live, incoming.parameters["task"]))
