"""Items that people disagree on: what was said of them, and what a reviewer decides."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from core.roles import REVIEWERS
from feedback.adjudication import decide, send_back
from feedback.answers import Said
from feedback.disputes import list_disputes
from service.adjudication_replies import (
    DecideRequest,
    DisputesQuery,
    DisputesReply,
    SendBackReply,
    SendBackRequest,
    read_decision,
    read_place,
    write_place,
)
from service.bodies import read_body
from service.exchange import Incoming, Reply, json_reply
from service.queries import read_query
from service.queue_api import answer_in_words, item_id_of
from service.queue_replies import AnswerReply
from service.routing import Doc, Endpoint, Route
from service.worker import Worker

_DISPUTES = Doc("Items that an expert must decide", DisputesReply, query=DisputesQuery, problems=(503,))
_DECIDE = Doc("Settle an item", AnswerReply, DecideRequest, status=201, problems=(404, 409, 503))
_SEND_BACK = Doc("Ask the annotators again", SendBackReply, SendBackRequest, problems=(404, 409, 503))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of disputes."""
    api = _AdjudicationApi(worker)
    item = "/v1/queue/items/{id}"
    return [
        Route("/v1/queue/{task}/disputes", {"GET": Endpoint(api.disputes, REVIEWERS, doc=_DISPUTES)}),
        Route(f"{item}/decide", {"POST": Endpoint(api.decide, REVIEWERS, once=True, json=True, doc=_DECIDE)}),
        Route(f"{item}/send-back", {"POST": Endpoint(api.send_back, REVIEWERS, once=True, json=True, doc=_SEND_BACK)}),
    ]


class _AdjudicationApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._store = worker.store

    async def disputes(self, incoming: Incoming) -> Reply:
        """Send some disputes with all that was said."""
        task = self._worker.live.folder(incoming.parameters["task"]).task
        query = read_query(DisputesQuery, incoming)
        place, caller = read_place(query.after), incoming.caller
        found = await asyncio.to_thread(list_disputes, self._store, task, caller, place, query.limit)
        return json_reply(asdict(found) | {"after": write_place(found.after)})

    async def decide(self, incoming: Incoming) -> Reply:
        """Keep what a reviewer decides."""
        item_id, request = item_id_of(incoming), read_decision(await incoming.body())
        value = None if request.kind == "out_of_scope" else getattr(request, request.kind)
        said = Said(request.kind, value, request.comment, request.proposed_label)
        tasks, caller = self._worker.declared(), incoming.caller
        decided = await asyncio.to_thread(decide, self._store, tasks, caller, item_id, said, reopen=request.reopen)
        return json_reply(answer_in_words(decided, tasks[decided.task]), 201)

    async def send_back(self, incoming: Incoming) -> Reply:
        """Ask the annotators about an item again."""
        item_id, request = item_id_of(incoming), read_body(SendBackRequest, await incoming.body())
        tasks, caller = self._worker.declared(), incoming.caller
        wanted, reopen = request.answers, request.reopen
        sent = await asyncio.to_thread(send_back, self._store, tasks, caller, item_id, wanted, reopen=reopen)
        return json_reply(asdict(sent))
