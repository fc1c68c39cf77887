"""`/v1/runs`: what the retraining job does and did."""

from __future__ import annotations

import asyncio

from pydantic import Field

from core.errors import NotFoundError
from core.roles import ADMINS, REVIEWERS
from feedback.runs import Run, find_run, list_runs
from feedback.trial_moves import cancel_run
from service.access import granted_task
from service.bodies import Body, Clean, read_body
from service.exchange import Incoming, Reply, json_reply
from service.queries import Query, read_query
from service.routing import Doc, Endpoint, Route
from service.run_views import RunsView, RunView, describe_runs
from service.worker import Worker


class RunsQuery(Query):
    """Parameters of `GET /v1/runs`."""

    task: str | None = Field(None, description="Only runs of this task.")
    limit: int = Field(20, ge=1, le=200, description="Runs at most.")
    before: str | None = Field(
        None, pattern=r"^[0-9a-f-]{36}$", description="Id of the last run seen: those older than it follow."
    )


class CancelRequest(Body):
    """Body of `POST /v1/runs/{id}/cancel`."""

    reason: Clean = Field("", max_length=500, description="Why; kept with the run.")


_RUNS = Doc("Runs of the retraining job, newest first", RunsView, query=RunsQuery, problems=(404, 503))
_RUN = Doc("One run: its step, its progress, and what came of it", RunView, problems=(503,))
_CANCEL = Doc("End a run that waits, or whose candidate is on trial", RunView, CancelRequest, problems=(409, 503))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of runs."""
    api = _RunsApi(worker)
    return [
        Route("/v1/runs", {"GET": Endpoint(api.list_runs, REVIEWERS, doc=_RUNS)}),
        Route("/v1/runs/{id}", {"GET": Endpoint(api.run, REVIEWERS, doc=_RUN)}),
        Route("/v1/runs/{id}/cancel", {"POST": Endpoint(api.cancel, ADMINS, once=True, json=True, doc=_CANCEL)}),
    ]


class _RunsApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def list_runs(self, incoming: Incoming) -> Reply:
        """Answer with the newest runs of the tasks that the caller has a grant for."""
        query, live = read_query(RunsQuery, incoming), self._worker.live
        if query.task is not None:
            granted_task(live, incoming.caller, query.task)
        tasks = [query.task] if query.task is not None else [one for one in live.tasks if incoming.caller.may_see(one)]
        found = await asyncio.to_thread(list_runs, self._worker.store, tasks, limit=query.limit, before=query.before)
        return json_reply({"runs": await asyncio.to_thread(describe_runs, self._worker.store, found)})

    async def run(self, incoming: Incoming) -> Reply:
        """Answer with one run; those of tasks without a grant do not exist."""
        run = await asyncio.to_thread(find_run, self._worker.store, incoming.parameters["id"])
        return await self._told(incoming, run)

    async def cancel(self, incoming: Incoming) -> Reply:
        """End a run that waits, or whose candidate is on trial."""
        request = read_body(CancelRequest, await incoming.body())
        store, run_id = self._worker.store, incoming.parameters["id"]
        _check_grant(incoming, await asyncio.to_thread(find_run, store, run_id))
        ended = await asyncio.to_thread(cancel_run, store, incoming.caller, run_id, request.reason.strip())
        return await self._told(incoming, ended)

    async def _told(self, incoming: Incoming, run: Run) -> Reply:
        _check_grant(incoming, run)
        (told,) = await asyncio.to_thread(describe_runs, self._worker.store, [run])
        return json_reply(told)


def _check_grant(incoming: Incoming, run: Run) -> None:
    if not incoming.caller.may_see(run.task):
        raise NotFoundError(f"no run {run.id!r} here")
