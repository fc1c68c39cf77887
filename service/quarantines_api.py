"""`/v1/queue/{task}/quarantines`: sources whose answers were set aside as a flood, and letting them train after all."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from core.roles import REVIEWERS
from feedback.quarantines import list_quarantines, release_one
from service.exchange import Incoming, Reply, json_reply
from service.routing import Doc, Endpoint, Route
from service.worker import Worker


class QuarantineView(BaseModel):
    """A source whose answers from `since` on do not train."""

    model_config = ConfigDict(extra="forbid")

    id: str
    task: str
    person: str
    reason: str = Field(description="The rule that was broken: `burst`, `share` or `flip`.")
    since: datetime
    figures: dict[str, int | float | str] = Field(description="By how much it was broken.")
    created_at: datetime


class QuarantinesView(BaseModel):
    """Body of `GET /v1/queue/{task}/quarantines`."""

    quarantines: list[QuarantineView]


_LIST = Doc("Sources whose answers were set aside as a flood", QuarantinesView, problems=(503,))
_RELEASE = Doc("Let the answers of a source train after all", QuarantineView, problems=(404, 503))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of quarantines."""
    api = _QuarantinesApi(worker)
    path = "/v1/queue/{task}/quarantines"
    return [
        Route(path, {"GET": Endpoint(api.list_all, REVIEWERS, doc=_LIST)}),
        Route(f"{path}/{{id}}/release", {"POST": Endpoint(api.release, REVIEWERS, once=True, doc=_RELEASE)}),
    ]


class _QuarantinesApi:
    def __init__(self, worker: Worker) -> None:
        self._store = worker.store

    async def list_all(self, incoming: Incoming) -> Reply:
        """Tell which sources are set aside, the oldest first."""
        found = await asyncio.to_thread(list_quarantines, self._store, incoming.parameters["task"])
        return json_reply({"quarantines": [asdict(one) for one in found]})

    async def release(self, incoming: Incoming) -> Reply:
        """Let what a source said up to now train."""
        task, identifier = incoming.parameters["task"], incoming.parameters["id"]
        return json_reply(asdict(await asyncio.to_thread(release_one, self._store, incoming.caller, task, identifier)))
