"""`GET /v1/lineage/{id}`: where a prediction came from, and where an answer went."""

from __future__ import annotations

import asyncio

from pydantic import Field

from core.roles import REVIEWERS
from service.exchange import Incoming, Reply, json_reply
from service.lineage_replies import LineageView
from service.lineage_view import describe_lineage, find_lineage
from service.queries import Query, read_query
from service.routing import Doc, Endpoint, Route
from service.worker import Worker


class LineageQuery(Query):
    """Parameters of `GET /v1/lineage/{id}`."""

    limit: int = Field(20, ge=1, le=500, description="Reviewed items and snapshots at most, each.")


_DOC = Doc(
    "Where a prediction came from, and where an answer went", LineageView, query=LineageQuery, problems=(404, 503)
)


def routes(worker: Worker) -> list[Route]:
    """Return the route of lineage."""
    return [Route("/v1/lineage/{id}", {"GET": Endpoint(_LineageApi(worker).one, REVIEWERS, doc=_DOC)})]


class _LineageApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def one(self, incoming: Incoming) -> Reply:
        """Tell the lineage of whatever has this id; what belongs to a task without a grant does not exist."""
        query, identifier = read_query(LineageQuery, incoming), incoming.parameters["id"]
        tasks = seen_tasks(self._worker, incoming)
        found = await asyncio.to_thread(find_lineage, self._worker.store, identifier, tasks, query.limit)
        incoming.parameters["task"] = found.subject.task
        return json_reply(await asyncio.to_thread(describe_lineage, found))


def seen_tasks(worker: Worker, incoming: Incoming) -> list[str]:
    """Return the served tasks that the caller has a grant for."""
    return [name for name in worker.live.tasks if incoming.caller.may_see(name)]
