"""`GET /v1/predictions/{id}`: what was said of a text, and what became of it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.ids import is_id
from core.roles import APPS, Caller
from feedback.predictions import find_prediction, may_be_on_its_way
from feedback.reports import unknown_prediction
from service.exchange import Incoming, Reply, json_reply
from service.replies import LabelScore, Span
from service.routing import Doc, Endpoint, Route
from service.worker import Worker

RETRY_S = 0.2
"""Seconds between looks for a prediction that is so young that it may not be recorded yet."""


class _View(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class OutcomeView(_View):
    """What people decided: `label` or `labels`; `label` is `out_of_scope` where no label fits."""

    label: str | None
    labels: list[str] | None
    confirms: bool | None = Field(description="Whether the model had said the same.")
    method: str
    revision: int
    created_at: datetime


class PredictionItemView(_View):
    """The item that a prediction became."""

    item_id: str
    state: str
    reason: str
    resolution: OutcomeView | None


class ReportView(_View):
    """What an application said of the prediction."""

    report_id: str
    correct: bool | None
    label: str | None
    labels: list[str] | None
    source: str | None
    created_at: datetime


class PredictionView(_View):
    """Body of `GET /v1/predictions/{id}`."""

    id: str
    task: str
    model_version: str
    revision: int
    label: str
    labels: list[str] | None
    spans: list[Span] | None
    confidence: float
    scores: list[LabelScore]
    out_of_scope: float
    truncated: bool
    language: str | None
    metadata: dict[str, str] | None
    text: str | None = Field(description="As it was judged, redacted; null once it was erased.")
    subject: str | None
    reason: str | None = Field(description="Why people are asked about it, if they are.")
    inclusion: float = Field(description="Probability with which an automatic reason was to select it.")
    item: PredictionItemView | None
    reports: list[ReportView]
    created_at: datetime


_DOC = Doc("What was said of a text, and what became of it", PredictionView, problems=(503,))


def routes(worker: Worker) -> list[Route]:
    """Return the route of single predictions."""
    api = _PredictionsApi(worker)
    return [Route("/v1/predictions/{id}", {"GET": Endpoint(api.one, APPS, doc=_DOC)})]


class _PredictionsApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def one(self, incoming: Incoming) -> Reply:
        """Tell of one prediction; an application sees those of its own key."""
        identifier = incoming.parameters["id"]
        said = await self._find(identifier)
        if said is None or not _may_see(incoming.caller, said):
            raise unknown_prediction(identifier[:100])
        incoming.parameters["task"] = said["task"]
        return json_reply({name: said[name] for name in PredictionView.model_fields})

    async def _find(self, identifier: str) -> dict[str, Any] | None:
        """Look for a prediction, and wait for one that was replied a moment ago."""
        if not is_id(identifier):
            return None
        while True:
            said = await asyncio.to_thread(find_prediction, self._worker.store, identifier)
            if said is not None or not may_be_on_its_way(identifier):
                return said
            await asyncio.sleep(RETRY_S)


def _may_see(caller: Caller, said: dict[str, Any]) -> bool:
    own = caller.role != "app" or said["key_id"] == caller.key_id
    return own and caller.may_see(said["task"])
