"""`POST /v1/erase`: take a text, or everything about a person, out of everything on this host."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from core.roles import ADMINS
from core.text import MAX_TEXT_LENGTH
from feedback.erasure import Erasure, erase, wanted_erasure
from service.bodies import Body, Clean, ShortName, read_body
from service.exchange import Incoming, Reply, json_reply
from service.model_store import version_names
from service.routing import Doc, Endpoint, Route
from service.worker import Worker
from tasks.catalogue import find_tasks


class EraseRequest(Body):
    """Body of `POST /v1/erase`: exactly one of `subject` and `text`."""

    subject: ShortName | None = Field(None, description="Every text that was sent with this `subject`.")
    text: Clean | None = Field(
        None, min_length=1, max_length=MAX_TEXT_LENGTH, description="Every copy of this text, as people see it."
    )
    own_data: bool = Field(False, description="Whether its rows in the data files of own tasks go too.")


class OwnDataView(BaseModel):
    """Rows of an own task's data file that still hold what was erased; `lines` count from 1."""

    task: str
    file: str
    lines: list[int]


class ErasureView(BaseModel):
    """What was erased."""

    erasure_id: str
    counts: dict[str, int] = Field(description="Rows and files by kind.")
    models: list[str] = Field(description="`TASK:VERSION` of models that had learnt from it.")
    own_data: list[OwnDataView] = Field(description="What is left in own tasks' data; empty with `own_data`.")
    snapshots_pending: bool = Field(
        description="Whether files of snapshots may still hold it; the scheduler or the next run rewrites them."
    )


_DOC = Doc("Erase a text, or every text about a subject", ErasureView, EraseRequest)


def routes(worker: Worker) -> list[Route]:
    """Return the route of erasures, which needs an admin's key even in open mode."""
    api = _ErasureApi(worker)
    return [Route("/v1/erase", {"POST": Endpoint(api.erase, ADMINS, open_mode=False, once=True, json=True, doc=_DOC)})]


class _ErasureApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def erase(self, incoming: Incoming) -> Reply:
        """Erase what the body names."""
        request = read_body(EraseRequest, await incoming.body())
        return json_reply(await asyncio.to_thread(self._erase, request, incoming))

    def _erase(self, request: EraseRequest, incoming: Incoming) -> dict[str, object]:
        worker, home = self._worker, self._worker.settings.home
        tasks = [folder.task for folder in find_tasks(worker.settings.model_copy(update={"tasks": ()})).values()]
        wanted = wanted_erasure(request.subject, request.text, tasks)
        done = erase(
            worker.store, worker.spool, home, incoming.caller, wanted, version_names, own_data=request.own_data
        )
        return _view(done, worker)


def _view(done: Erasure, worker: Worker) -> dict[str, object]:
    left = [
        OwnDataView(task=rows.task, file=str(rows.file.relative_to(worker.settings.home)), lines=list(rows.lines))
        for rows in done.own_data
    ]
    view = ErasureView(
        erasure_id=done.id,
        counts=dict(done.counts),
        models=list(done.models),
        own_data=left,
        snapshots_pending=done.unsettled,
    )
    return view.model_dump()
