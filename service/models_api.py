"""`GET /v1/tasks`, and `/v1/models/{task}`: its versions, a retraining, and which version is live."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from core.errors import ConflictError
from core.roles import ADMINS, REVIEWERS
from feedback.deployments import live_deployments
from feedback.pins import pin, unpin
from feedback.promotion import Change, promote, rollback
from feedback.run_queue import ask_for_run
from feedback.runs import Run
from service.bodies import Body, Clean, read_body
from service.exchange import Incoming, Reply, json_reply
from service.model_store import check_version, version_folder
from service.routing import Doc, Endpoint, Route
from service.views import ModelsView, TasksView, describe_models, describe_tasks
from service.worker import Worker

_MAX_REASON = 500


class RetrainRequest(Body):
    """Body of `POST /v1/models/{task}/retrain`."""

    mode: Literal["full", "fast"] = Field(
        "full", description="`full` fine-tunes, which takes minutes; `fast` refits the head, which takes seconds."
    )
    promote: bool = Field(True, description="Whether a candidate that passes the gate goes live by itself.")


class RetrainReply(BaseModel):
    """A run that waits for a scheduler: a new one, or the one of that mode that waited already."""

    run_id: str
    status: str


class PromoteRequest(Body):
    """Body of `POST /v1/models/{task}/promote`."""

    version: Clean = Field(min_length=1, max_length=63, description="The version to make live.")
    force: bool = Field(False, description="Whether it goes live without a passed gate; `reason` is needed then.")
    reason: Clean = Field("", max_length=_MAX_REASON, description="Why; kept with the deployment.")

    @model_validator(mode="after")
    def _check_reason(self) -> PromoteRequest:
        """Refuse force without a reason."""
        if self.force and not self.reason.strip():
            raise PydanticCustomError("reason", "force needs a reason; say why in `reason`")
        return self


class RollbackRequest(Body):
    """Body of `POST /v1/models/{task}/rollback`."""

    to: Clean | None = Field(
        None, min_length=1, max_length=63, description="A version that was live before; null: the one before."
    )
    reason: Clean = Field("", max_length=_MAX_REASON, description="Why; kept with the deployment.")


class PinRequest(Body):
    """Body of `POST /v1/models/{task}/pin` and `…/unpin`."""

    version: Clean = Field(min_length=1, max_length=63, description="The version to keep, or to let go.")


class PinReply(BaseModel):
    """Whether a version is pinned now, and whether that is new."""

    task: str
    version: str
    pinned: bool
    changed: bool


class DeploymentView(BaseModel):
    """What is live for a task now."""

    model_config = ConfigDict(protected_namespaces=())

    task: str
    version: str
    previous: str | None = Field(description="What was live before; null: nothing, or nothing changed.")
    changed: bool = Field(description="False where the version was live already.")
    reason: str
    actor: str
    created_at: str


_TASKS = Doc("Tasks with labels, revision, live version and thresholds", TasksView)
_MODELS = Doc("Model versions of a task, newest first", ModelsView, problems=(503,))
_RETRAIN = Doc("Ask for a run of the retraining job", RetrainReply, RetrainRequest, status=202, problems=(409, 503))
_PROMOTE = Doc("Make a version live that passed the gate", DeploymentView, PromoteRequest, problems=(409, 503))
_ROLLBACK = Doc("Make an earlier version live again", DeploymentView, RollbackRequest, problems=(409, 503))

_PIN = Doc("Keep a version for good", PinReply, PinRequest, problems=(503,))
_UNPIN = Doc("Let a pinned version go when its time comes", PinReply, PinRequest, problems=(503,))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of tasks and models; what changes the live version needs an admin's key even in open mode."""
    api = _ModelsApi(worker)
    models = "/v1/models/{task}"
    return [
        Route("/v1/tasks", {"GET": Endpoint(api.tasks, doc=_TASKS)}),
        Route(models, {"GET": Endpoint(api.models, REVIEWERS, doc=_MODELS)}),
        Route(f"{models}/retrain", {"POST": Endpoint(api.retrain, ADMINS, once=True, json=True, doc=_RETRAIN)}),
        Route(
            f"{models}/promote",
            {"POST": Endpoint(api.promote, ADMINS, open_mode=False, once=True, json=True, doc=_PROMOTE)},
        ),
        Route(
            f"{models}/rollback",
            {"POST": Endpoint(api.rollback, ADMINS, open_mode=False, once=True, json=True, doc=_ROLLBACK)},
        ),
        Route(f"{models}/pin", {"POST": Endpoint(api.pin, ADMINS, once=True, json=True, doc=_PIN)}),
        Route(f"{models}/unpin", {"POST": Endpoint(api.unpin, ADMINS, once=True, json=True, doc=_UNPIN)}),
    ]


class _ModelsApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def tasks(self, incoming: Incoming) -> Reply:
        """Describe the tasks that the caller has a grant for."""
        return json_reply(describe_tasks(self._worker.live, incoming.caller))

    async def models(self, incoming: Incoming) -> Reply:
        """Describe the versions of one task."""
        worker = self._worker
        return json_reply(await describe_models(worker.live, worker.store, incoming.parameters["task"]))

    async def retrain(self, incoming: Incoming) -> Reply:
        """Put a run into the queue, which a scheduler takes up."""
        request = read_body(RetrainRequest, await incoming.body())
        run = await asyncio.to_thread(self._retrain, request, incoming)
        return json_reply({"run_id": run.id, "status": run.status}, 202)

    def _retrain(self, request: RetrainRequest, incoming: Incoming) -> Run:
        task, store = incoming.parameters["task"], self._worker.store
        if task not in live_deployments(store):
            raise ConflictError(f"{task} has no live model to learn from and to compare with; `regrade train {task}`")
        return ask_for_run(store, incoming.caller, task, request.mode, "request", promote=request.promote)

    async def promote(self, incoming: Incoming) -> Reply:
        """Make a version live."""
        request = read_body(PromoteRequest, await incoming.body())
        return json_reply(await asyncio.to_thread(self._promote, request, incoming))

    def _promote(self, request: PromoteRequest, incoming: Incoming) -> dict[str, object]:
        task, reason = incoming.parameters["task"], request.reason.strip()
        check_version(task, request.version)
        change = promote(
            self._worker.store,
            incoming.caller,
            task,
            request.version,
            version_folder,
            reason=reason,
            force=request.force,
        )
        return _view(change)

    async def rollback(self, incoming: Incoming) -> Reply:
        """Go back to a version that was live before."""
        request = read_body(RollbackRequest, await incoming.body())
        return json_reply(await asyncio.to_thread(self._rollback, request, incoming))

    def _rollback(self, request: RollbackRequest, incoming: Incoming) -> dict[str, object]:
        task, reason = incoming.parameters["task"], request.reason.strip()
        change = rollback(self._worker.store, incoming.caller, task, check_version, to=request.to, reason=reason)
        return _view(change)

    async def pin(self, incoming: Incoming) -> Reply:
        """Keep a version that this host's model store has."""
        task, version = incoming.parameters["task"], read_body(PinRequest, await incoming.body()).version

        def work() -> bool:
            version_folder(task, version)
            return pin(self._worker.store, incoming.caller, task, version)

        changed = await asyncio.to_thread(work)
        return json_reply({"task": task, "version": version, "pinned": True, "changed": changed})

    async def unpin(self, incoming: Incoming) -> Reply:
        """Keep a version no more than others; one that is gone can be unpinned too."""
        task, version = incoming.parameters["task"], read_body(PinRequest, await incoming.body()).version
        changed = await asyncio.to_thread(unpin, self._worker.store, incoming.caller, task, version)
        return json_reply({"task": task, "version": version, "pinned": False, "changed": changed})


def _view(change: Change) -> dict[str, object]:
    live = change.deployment
    return {
        "task": live.task,
        "version": live.version,
        "previous": change.previous,
        "changed": change.changed,
        "reason": live.reason,
        "actor": live.actor,
        "created_at": live.created_at.isoformat(),
    }
