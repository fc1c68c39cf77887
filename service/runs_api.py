"""`/v1/runs`: what the retraining job does and did."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from core.errors import NotFoundError
from core.roles import REVIEWERS
from feedback.runs import Run, find_run, list_runs
from service.access import granted_task
from service.exchange import Incoming, Reply, json_reply
from service.queries import Query, read_query
from service.routing import Doc, Endpoint, Route
from service.worker import Worker


class RunsQuery(Query):
    """Parameters of `GET /v1/runs`."""

    task: str | None = Field(None, description="Only runs of this task.")
    limit: int = Field(20, ge=1, le=200, description="Runs at most.")
    before: str | None = Field(
        None, pattern=r"^[0-9a-f-]{36}$", description="Id of the last run seen: those older than it follow."
    )


class RunView(BaseModel):
    """One execution of the retraining job."""

    run_id: str
    task: str
    mode: str = Field(description="`full` or `fast`.")
    trigger: str = Field(description="Why it was asked for.")
    asked_by: str
    promote: bool = Field(description="Whether a candidate that passes goes live by itself.")
    state: str = Field(description="Its step: queued, snapshot, learn, gate, promote, done.")
    status: str = Field(
        description="queued, running, promoted, passed, rejected, inconclusive, unchanged, failed or cancelled."
    )
    progress: float = Field(ge=0, le=1, description="How far the step is.")
    attempts: int = Field(description="How often a process began or went on with it.")
    champion: str | None = Field(description="The version that the candidate is compared with.")
    version: str | None = Field(description="The candidate.")
    snapshot_sha256: str | None
    gate: dict[str, Any] | None = Field(description="The verdict: decision, checks, reasons, warnings.")
    figures: dict[str, Any] | None = Field(description="What else is worth telling, such as rows and seconds.")
    message: str = Field(description="What it does, or what came of it.")
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None


class RunsView(BaseModel):
    """Body of `GET /v1/runs`."""

    runs: list[RunView]


_RUNS = Doc("Runs of the retraining job, newest first", RunsView, query=RunsQuery, problems=(404, 503))
_RUN = Doc("One run: its step, its progress, and what came of it", RunView, problems=(503,))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of runs."""
    api = _RunsApi(worker)
    return [
        Route("/v1/runs", {"GET": Endpoint(api.list_runs, REVIEWERS, doc=_RUNS)}),
        Route("/v1/runs/{id}", {"GET": Endpoint(api.run, REVIEWERS, doc=_RUN)}),
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
        return json_reply({"runs": [describe_run(run) for run in found]})

    async def run(self, incoming: Incoming) -> Reply:
        """Answer with one run; those of tasks without a grant do not exist."""
        run = await asyncio.to_thread(find_run, self._worker.store, incoming.parameters["id"])
        if not incoming.caller.may_see(run.task):
            raise NotFoundError(f"no run {run.id!r} here")
        return json_reply(describe_run(run))


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run as the API shows it."""
    told = asdict(run)
    return {"run_id": told.pop("id"), **told}
