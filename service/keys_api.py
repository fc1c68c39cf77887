"""`/v1/keys` and `/v1/audit`: who may come in, and what people changed."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import orjson
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from core.errors import Fault, InvalidError
from core.roles import ADMINS, Role
from feedback.audit import list_entries
from feedback.keys import MAX_NOTE, MAX_PERSON, Key, create_key, list_keys, revoke_key
from service.bodies import Body, Clean, read_body
from service.exchange import Incoming, Reply, empty_reply, json_reply
from service.queries import Query, read_query
from service.routing import Doc, Endpoint, Route
from service.worker import Worker


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("moment", "expected a moment with a time zone, such as 2030-01-31T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_only_text)]
"""A moment as ISO 8601 text."""


class KeyRequest(Body):
    """Body of `POST /v1/keys`."""

    person: Clean = Field(min_length=1, max_length=MAX_PERSON, description="Who will use the key.")
    role: Role = Field(description="What the key may do.")
    tasks: Annotated[list[Clean], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="Tasks the key is good for; null: all."
    )
    expires_at: Moment | None = Field(None, description="When it ends, with a time zone; null: never.")
    note: Clean = Field("", max_length=MAX_NOTE, description="What it is for.")


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    person: str
    role: Role
    tasks: list[str] | None = Field(description="Tasks the key is good for; null: all.")
    note: str
    prefix: str = Field(description="What the key begins with, to recognise it by.")
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Exact to about a minute.")


class NewKeyView(KeyView):
    """A key that was just made."""

    key: str | None = Field(description="The key itself: shown this once. Null where an Idempotency-Key is replayed.")


class KeysView(BaseModel):
    """Body of `GET /v1/keys`."""

    keys: list[KeyView]


class AuditQuery(Query):
    """Parameters of `GET /v1/audit`."""

    after: int = Field(0, ge=0, lt=2**63, description="Id of the last entry seen.")
    limit: int = Field(100, ge=1, le=1000, description="Entries at most.")


class EntryView(BaseModel):
    """One change by a person, or one refusal of one."""

    id: int
    created_at: datetime
    actor: str
    role: str
    action: str
    object: str = Field(description="Id of what was changed; for a refusal, where.")
    details: dict[str, str | int | float | bool | None]


class AuditView(BaseModel):
    """Body of `GET /v1/audit`."""

    entries: list[EntryView]


_CREATE = Doc("Make a key", NewKeyView, KeyRequest, status=201)
_LIST = Doc("Every key ever made, without secrets", KeysView)
_REVOKE = Doc("Let nobody in with a key any more", status=204)
_AUDIT = Doc("What people changed, oldest first", AuditView, query=AuditQuery)


def routes(worker: Worker) -> list[Route]:
    """Return the routes of keys and the audit log."""
    api = _KeysApi(worker)
    return [
        Route(
            "/v1/keys",
            {
                "GET": Endpoint(api.list_keys, ADMINS, open_mode=False, doc=_LIST),
                "POST": Endpoint(api.create, ADMINS, open_mode=False, once=True, json=True, doc=_CREATE),
            },
        ),
        Route("/v1/keys/{id}", {"DELETE": Endpoint(api.revoke, ADMINS, open_mode=False, once=True, doc=_REVOKE)}),
        Route("/v1/audit", {"GET": Endpoint(api.audit, ADMINS, doc=_AUDIT)}),
    ]


class _KeysApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def list_keys(self, _: Incoming) -> Reply:
        """Answer with every key."""
        keys = await asyncio.to_thread(list_keys, self._worker.store)
        return json_reply({"keys": [_view(key) for key in keys]})

    async def create(self, incoming: Incoming) -> Reply:
        """Make a key; what is kept for an `Idempotency-Key` is without its secret."""
        request = read_body(KeyRequest, await incoming.body())
        self._check_tasks(request.tasks)
        key, secret = await asyncio.to_thread(
            create_key,
            self._worker.store,
            incoming.caller,
            person=request.person,
            role=request.role,
            tasks=request.tasks,
            expires_at=request.expires_at,
            note_text=request.note,
        )
        await asyncio.to_thread(self._worker.callers.refresh)
        view = _view(key)
        reply = json_reply(view | {"key": secret}, 201)
        reply.kept = orjson.dumps(view | {"key": None})
        return reply

    def _check_tasks(self, tasks: list[str] | None) -> None:
        live = self._worker.live
        faults = [
            Fault(("tasks", index), f"no task {task[:60]!r} here; this service has: {', '.join(live.tasks)}")
            for index, task in enumerate(tasks or ())
            if task not in live.tasks
        ]
        if faults:
            raise InvalidError(faults)

    async def revoke(self, incoming: Incoming) -> Reply:
        """Revoke a key, however often it is asked."""
        await asyncio.to_thread(revoke_key, self._worker.store, incoming.caller, incoming.parameters["id"])
        await asyncio.to_thread(self._worker.callers.refresh)
        return empty_reply()

    async def audit(self, incoming: Incoming) -> Reply:
        """Answer with a page of the audit log."""
        query = read_query(AuditQuery, incoming)
        entries = await asyncio.to_thread(list_entries, self._worker.store, query.after, query.limit)
        return json_reply({"entries": [asdict(entry) for entry in entries]})


def _view(key: Key) -> dict[str, object]:
    return asdict(key)
