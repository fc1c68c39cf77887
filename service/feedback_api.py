"""`POST /v1/feedback`: what applications say of predictions, or of texts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from core.errors import NotFoundError, OverloadedError, UnavailableError
from core.ids import is_id, new_id
from core.redaction import Redactor
from core.roles import APPS, Caller
from feedback.predictions import may_be_on_its_way
from feedback.reports import REPORT, NewReport, send_report, unknown_prediction
from feedback.texts import new_text
from feedback.values import value_of
from service.access import granted_task
from service.exchange import Incoming, Reply, json_reply
from service.feedback_requests import FeedbackReply, FeedbackRequest, read_feedback
from service.predictions_api import RETRY_S
from service.routing import Doc, Endpoint, Route
from service.throttle import Throttle
from service.worker import Worker

_DOC = Doc(
    "Say whether a prediction was right, or what a text is",
    FeedbackReply,
    FeedbackRequest,
    status=201,
    problems=(404, 429, 503),
)

_REDACT_ALL = Redactor()
"""For comments: they may come before it is known which task they are about."""


def routes(worker: Worker) -> list[Route]:
    """Return the route of direct feedback."""
    api = _FeedbackApi(worker)
    return [Route("/v1/feedback", {"POST": Endpoint(api.feedback, APPS, once=True, json=True, doc=_DOC)})]


class _FeedbackApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        limits = [task.reports.per_minute for task in worker.declared().values()]
        self._while_away = Throttle(max(limits, default=60))

    async def feedback(self, incoming: Incoming) -> Reply:
        """Keep a report, in the spool while the store is away."""
        request = read_feedback(await incoming.body())
        if request.task is not None:
            incoming.parameters["task"] = request.task
        if request.prediction_id is not None and not is_id(request.prediction_id):
            raise unknown_prediction(request.prediction_id)
        new = self._report(request, incoming.caller)
        item_id = await self._send(new)
        return json_reply({"report_id": new.id, "item_id": item_id}, 201)

    def _report(self, request: FeedbackRequest, caller: Caller) -> NewReport:
        now = datetime.now(UTC)
        text = None
        if request.task is not None and request.text is not None:
            task = granted_task(self._worker.live, caller, request.task).task
            value_of(task, request.label, request.labels)  # said now: nobody waits for what the spool refuses
            text = new_text(new_id(), Redactor(task.redact)(request.text), request.subject, now)
        return NewReport(
            id=new_id(),
            prediction_id=request.prediction_id,
            task=request.task,
            text=text,
            correct=request.correct,
            label=request.label,
            labels=request.labels,
            comment=_REDACT_ALL(request.comment) if request.comment else None,
            source=_REDACT_ALL(request.source) if request.source else None,
            person=caller.person,
            role=caller.role,
            key_id=caller.key_id,
            tasks=None if caller.tasks is None else sorted(caller.tasks),
            created_at=now,
        )

    async def _send(self, new: NewReport) -> str | None:
        """Write a report into the store, else into the spool; one on a prediction that is not there yet waits for it.

        A prediction may be on its way to the store for two seconds, and in the spool for longer: then the report
        follows it there.
        """
        while True:
            try:
                return await asyncio.to_thread(self._write, new)
            except (NotFoundError, UnavailableError) as error:
                if new.prediction_id is not None and may_be_on_its_way(new.prediction_id):
                    await asyncio.sleep(RETRY_S)
                    continue
                if isinstance(error, NotFoundError) and not await asyncio.to_thread(self._may_be_spooled, new):
                    raise
                await asyncio.to_thread(self._keep, new)
                return None

    def _write(self, new: NewReport) -> str | None:
        if self._worker.recorder.store_is_away.is_set():
            raise UnavailableError("the store is away")
        return send_report(self._worker.store, self._worker.declared(), new)

    def _may_be_spooled(self, new: NewReport) -> bool:
        return new.prediction_id is not None and self._worker.spool.count() > 0

    def _keep(self, new: NewReport) -> None:
        """Put a report into the spool, by the memory of this worker never more than a key may send."""
        if not self._while_away.take(new.key_id or ""):
            raise OverloadedError("too many reports while the store is away", self._while_away.left_s)
        self._worker.spool.add(REPORT, {new.id: new})
