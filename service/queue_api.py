"""The review queue: texts in, items out to people, and their answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.errors import Fault, InvalidError, NotFoundError, UngrantedError
from core.ids import is_id
from core.redaction import Redactor
from core.roles import ANNOTATORS, REVIEWERS
from feedback.annotators import annotator_report
from feedback.answers import Answered, Said, answer, undo
from feedback.facts import Value
from feedback.intake import Brought, take_in
from feedback.item_view import find_item
from feedback.queue import Claimed, claim, heartbeat, release
from feedback.stats import queue_stats
from feedback.values import in_words, value_of
from service.bodies import read_body
from service.exchange import Incoming, Reply, empty_reply, json_reply
from service.queue_replies import (
    AnnotatorsReply,
    AnswerReply,
    ClaimReply,
    HeartbeatReply,
    ImportReply,
    ItemView,
    StatsReply,
    UndoReply,
)
from service.queue_requests import (
    AnswerRequest,
    ClaimRequest,
    ImportedText,
    ImportRequest,
    LeaseRequest,
    UndoRequest,
    read_answer,
    read_import,
)
from service.routing import Doc, Endpoint, Route
from service.worker import Worker
from tasks.declaration import Task

_IMPORT = Doc("Bring texts to be labelled, or check items", ImportReply, ImportRequest, status=202, problems=(409, 503))
_CLAIM = Doc("Take items to answer", ClaimReply, ClaimRequest, problems=(404, 503))
_STATS = Doc("How the queue of a task stands", StatsReply, problems=(503,))
_PEOPLE = Doc("What is known of a task's annotators", AnnotatorsReply, problems=(503,))
_ITEM = Doc("Everything about an item", ItemView, problems=(404, 503))
_ANSWER = Doc("Answer an item", AnswerReply, AnswerRequest, status=201, problems=(404, 409, 503))
_HEARTBEAT = Doc("Hold an item for longer", HeartbeatReply, LeaseRequest, problems=(404, 409, 503))
_RELEASE = Doc("Give an item back", None, LeaseRequest, status=204, problems=(404, 409, 503))
_UNDO = Doc("Take an answer back", UndoReply, UndoRequest, problems=(404, 409, 503))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of the queue; those of a task come before those of an item."""
    api = _QueueApi(worker)
    item = "/v1/queue/items/{id}"
    return [
        Route("/v1/queue/{task}/claim", {"POST": Endpoint(api.claim, ANNOTATORS, once=True, json=True, doc=_CLAIM)}),
        Route("/v1/queue/{task}/items", {"POST": Endpoint(api.take_in, REVIEWERS, once=True, json=True, doc=_IMPORT)}),
        Route("/v1/queue/{task}/stats", {"GET": Endpoint(api.stats, ANNOTATORS, doc=_STATS)}),
        Route("/v1/queue/{task}/annotators", {"GET": Endpoint(api.annotators, REVIEWERS, doc=_PEOPLE)}),
        Route(f"{item}/answer", {"POST": Endpoint(api.answer, ANNOTATORS, once=True, json=True, doc=_ANSWER)}),
        Route(f"{item}/heartbeat", {"POST": Endpoint(api.heartbeat, ANNOTATORS, once=True, json=True, doc=_HEARTBEAT)}),
        Route(f"{item}/release", {"POST": Endpoint(api.release, ANNOTATORS, once=True, json=True, doc=_RELEASE)}),
        Route(f"{item}/undo", {"POST": Endpoint(api.undo, ANNOTATORS, once=True, json=True, doc=_UNDO)}),
        Route(item, {"GET": Endpoint(api.item, REVIEWERS, doc=_ITEM)}),
    ]


class _QueueApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._store = worker.store

    def _task(self, incoming: Incoming) -> Task:
        return self._worker.live.folder(incoming.parameters["task"]).task

    async def take_in(self, incoming: Incoming) -> Reply:
        """Make items of texts, redacted; all of them, or none where one cannot be used."""
        task, caller, body = self._task(incoming), incoming.caller, await incoming.body()

        def work() -> list[dict[str, Any]]:
            request = read_import(body)
            brought = _brought(task, request)
            return [asdict(one) for one in take_in(self._store, task, caller, brought, request.priority / 10)]

        return json_reply({"items": await asyncio.to_thread(work)}, 202)

    async def claim(self, incoming: Incoming) -> Reply:
        """Lease items to the caller."""
        task, request = self._task(incoming), read_body(ClaimRequest, await incoming.body())
        if request.like is not None and not is_id(request.like):
            raise NotFoundError(f"no item {request.like[:100]!r}")
        wanted = {"label": request.label, "language": request.language, "like": request.like}
        claimed = await asyncio.to_thread(claim, self._store, task, incoming.caller, request.count, **wanted)
        return json_reply({"items": [_shown(one) for one in claimed]})

    async def answer(self, incoming: Incoming) -> Reply:
        """Keep what a person says of an item."""
        item_id, request = item_id_of(incoming), read_answer(await incoming.body())
        tasks, caller, said = self._worker.declared(), incoming.caller, _said(request)
        answered = await asyncio.to_thread(answer, self._store, tasks, caller, item_id, request.lease_token, said)
        return json_reply(answer_in_words(answered, tasks[answered.task]), 201)

    async def heartbeat(self, incoming: Incoming) -> Reply:
        """Hold a lease for longer."""
        item_id, request = item_id_of(incoming), read_body(LeaseRequest, await incoming.body())
        tasks, caller = self._worker.declared(), incoming.caller
        until = await asyncio.to_thread(heartbeat, self._store, tasks, caller, item_id, request.lease_token)
        return json_reply({"lease_expires_at": until})

    async def release(self, incoming: Incoming) -> Reply:
        """End a lease without an answer."""
        item_id, request = item_id_of(incoming), read_body(LeaseRequest, await incoming.body())
        tasks, caller = self._worker.declared(), incoming.caller
        await asyncio.to_thread(release, self._store, tasks, caller, item_id, request.lease_token)
        return empty_reply()

    async def undo(self, incoming: Incoming) -> Reply:
        """Take the caller's own answer back."""
        item_id, request = item_id_of(incoming), read_body(UndoRequest, await incoming.body())
        tasks, caller = self._worker.declared(), incoming.caller
        undone = await asyncio.to_thread(undo, self._store, tasks, caller, item_id, request.answer_id)
        return json_reply(asdict(undone))

    async def item(self, incoming: Incoming) -> Reply:
        """Tell everything about one item."""
        item_id = item_id_of(incoming)
        found = await asyncio.to_thread(find_item, self._store, item_id)
        if found is None or found["task"] not in self._worker.live.tasks:
            raise NotFoundError(f"no item {item_id!r}")
        if not incoming.caller.may_see(found["task"]):
            raise UngrantedError(f"no item {item_id!r}")
        incoming.parameters["task"] = found["task"]
        return json_reply(found)

    async def stats(self, incoming: Incoming) -> Reply:
        """Tell how the queue stands."""
        figures = asdict(await asyncio.to_thread(queue_stats, self._store, self._task(incoming)))
        return json_reply(figures if incoming.caller.is_reviewer else figures | {"by_reason": None})

    async def annotators(self, incoming: Incoming) -> Reply:
        """Tell what is known of those who answer."""
        people = await asyncio.to_thread(annotator_report, self._store, self._task(incoming))
        return json_reply({"annotators": [asdict(one) for one in people]})


def item_id_of(incoming: Incoming) -> str:
    """Return the path's item id; what cannot be one is not there, and a database need not see it."""
    item_id = incoming.parameters["id"]
    if not is_id(item_id):
        raise NotFoundError(f"no item {item_id[:100]!r}")
    return item_id


def _brought(task: Task, request: ImportRequest) -> list[Brought]:
    """Return the texts, redacted; every known answer that is none of the task's is named."""
    redact, brought = Redactor(task.redact), []
    faults: list[Fault] = []
    for index, row in enumerate(request.texts):
        try:
            brought.append(_one(task, redact, row, index, check=request.check))
        except InvalidError as error:
            faults += error.faults
    if faults:
        raise InvalidError(faults)
    return brought


def _one(task: Task, redact: Redactor, row: ImportedText, index: int, *, check: bool) -> Brought:
    known = value_of(task, row.label, row.labels, ("texts", index)) if check else None
    metadata = redact.each(row.metadata) if row.metadata else None
    return Brought(redact(row.text), row.subject, metadata, row.language, known)


def _shown(claimed: Claimed) -> dict[str, Any]:
    suggestions = [{"label": label, "score": score} for label, score in claimed.suggestions]
    return asdict(claimed) | {"suggestions": suggestions}


def _said(request: AnswerRequest) -> Said:
    value = getattr(request, request.kind) if request.kind in {"label", "labels", "flag"} else None
    return Said(request.kind, value, request.comment, request.proposed_label, request.seconds)


def answer_in_words(answered: Answered, task: Task) -> dict[str, Any]:
    """Return an answer's outcome in words."""
    found, resolution = answered.resolution, None
    if found is not None:
        names = {label.id: label.name for label in task.labels}
        posterior = [{"label": _word(value, names), "score": round(chance, 6)} for value, chance in found.posterior]
        about = {"confirms": found.confirms, "method": found.method, "posterior": posterior}
        resolution = {"resolution_id": found.id, **in_words(found.value, names), **about}
    return {
        "answer_id": answered.answer_id,
        "counted": True if answered.counted else "extra",
        "resolution": resolution,
    }


def _word(value: Value, names: Mapping[int, str]) -> str:
    """Return one entry of a posterior: where an answer is a set of labels, each stands for itself."""
    words = in_words(value, names)
    return words["label"] or ", ".join(words["labels"])
