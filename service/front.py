"""The front: a small ASGI application before BentoML's, which answers the contract itself.

BentoML's own stack costs ten times as much a request. Whatever runs here bypasses BentoML's timeout, limits, metrics
and errors, so each of them is provided here. The rest (`/metrics`, the files of the docs page) is passed through.

A request goes: open-mode checks → endpoint → caller → role → content type → task → `Idempotency-Key` → handler.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any

import orjson

from core.errors import (
    CallerGoneError,
    ForbiddenError,
    NotFoundError,
    RegradeError,
    ReusedKeyError,
    UnauthenticatedError,
    UngrantedError,
)
from feedback.audit import note_refusal
from service.access import check_json, check_open_mode, granted_task
from service.exchange import NOBODY, App, Incoming, Receive, Reply, Scope, Send, problem_reply
from service.idempotency import answered_once
from service.openapi import openapi_document
from service.pages.routes import page_routes
from service.pages.site import Site
from service.problems import Headers, problem, problem_of
from service.routes import all_routes
from service.routing import Endpoint, Found, Route, Router
from service.throttle import Throttle
from service.worker import Worker

logger = logging.getLogger("regrade.front")

_PASSED_ON = re.compile(r"/(?:metrics|docs\.json|schema\.json|healthz|static_content/[\w.-]+)")
"""Paths that BentoML answers, to GET and HEAD, without a key."""

_REFUSALS = (UnauthenticatedError, ForbiddenError, UngrantedError, ReusedKeyError)
"""What goes into the audit log where it is known who was refused."""


class Front:
    """The ASGI application of one worker."""

    def __init__(self, inner: App, worker: Worker) -> None:
        """Answer for `worker`, and pass to `inner` what BentoML answers."""
        self._inner = inner
        self._worker = worker
        self._site = Site(worker)
        described = Route("/openapi.json", {"GET": Endpoint(self._describe, roles=None)})
        routes = [*all_routes(worker), *page_routes(worker, self._site), described]
        self._router = Router(routes)
        self._description = orjson.dumps(openapi_document(routes))
        self._refusals = Throttle(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        template, incoming = "other", Incoming(scope, receive, dict(scope["headers"]))
        try:
            if self._worker.callers.is_open:
                client = scope.get("client")
                check_open_mode(incoming.headers, client[0] if client else None)
            if _PASSED_ON.fullmatch(scope["path"]) and scope["method"] in {"GET", "HEAD"}:
                if scope["path"] == "/metrics":
                    self._worker.metrics.flush()
                    for gauges in self._worker.store_gauges:
                        await gauges.refresh(self._worker.store, self._worker.declared())
                await self._inner(scope, receive, send)
                return
            found = self._find(scope)
            template, incoming.parameters = found.route.template, found.parameters
            reply = await self._answer(found, incoming)
        except CallerGoneError:
            return
        except Exception as error:  # every error becomes a reply: somebody is waiting for one
            status, body, headers = problem_of(error)
            if status == 500:
                logger.exception("%s failed", template)
            if isinstance(error, _REFUSALS):
                await self._note_refusal(incoming, template, status)
            reply = await self._problem(incoming, status, body, headers)
        if self._worker.draining or reply.status == 413:
            reply.headers.append((b"connection", b"close"))
        await reply.send(send, incoming)
        task = incoming.parameters.get("task", "")
        known = task if task in self._worker.live.tasks else ""
        elapsed = time.perf_counter() - started
        self._worker.metrics.answered(template, known, incoming.version, reply.status, elapsed)

    async def _problem(self, incoming: Incoming, status: int, body: bytes, headers: Headers) -> Reply:
        """Return a problem as JSON, or as a page where people look at it."""
        if not incoming.scope["path"].startswith("/app"):
            return problem_reply(status, body, headers)
        return await self._site.error(incoming, status, orjson.loads(body)["detail"], headers)

    def _find(self, scope: Scope) -> Found:
        found = self._router.find(scope["path"], scope["method"])
        if found is None:
            raise NotFoundError(f"nothing is at {scope['path'][:200]!r}; /docs shows what there is")
        return found

    async def _answer(self, found: Found, incoming: Incoming) -> Reply:
        endpoint = found.endpoint
        if endpoint is None:
            return _refuse_method(incoming.scope["method"], found.route)
        if endpoint.roles is not None:
            incoming.caller = await self._worker.callers.find(incoming)
            self._check_role(endpoint, endpoint.roles, incoming)
        if endpoint.json:
            check_json(incoming.headers)
        task = incoming.parameters.get("task")
        if task is not None:
            granted_task(self._worker.live, incoming.caller, task)
        key = incoming.headers.get(b"idempotency-key") if endpoint.once else None
        if key is None:
            return await endpoint.handler(incoming)
        return await answered_once(self._worker.store, incoming, key, endpoint.handler)

    def _check_role(self, endpoint: Endpoint, roles: frozenset[str], incoming: Incoming) -> None:
        caller = incoming.caller
        if caller.key_id is None and not endpoint.open_mode:
            raise UnauthenticatedError(
                "this needs the admin key, which is in admin.key in the service's REGRADE_HOME; send it as "
                "`Authorization: Bearer KEY`"
            )
        if caller.role not in roles:
            raise ForbiddenError(f"the role {caller.role} may not do this; it takes one of: {', '.join(sorted(roles))}")

    async def _note_refusal(self, incoming: Incoming, template: str, status: int) -> None:
        """Write down who was refused: once a minute for each person and place, so that trying costs no disk."""
        caller = incoming.caller
        if caller is NOBODY or not self._refusals.take(f"{caller.key_id or caller.person} {template}"):
            return
        method = incoming.scope["method"]
        try:
            await asyncio.to_thread(note_refusal, self._worker.store, caller, method, template, status)
        except RegradeError as error:
            logger.warning("a refusal at %s could not be noted: %s", template, error)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the worker before BentoML says that it started, and stop it after."""

        async def announce(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self._worker.start()
                except Exception as error:
                    logger.exception("the worker cannot start")
                    message = {"type": "lifespan.startup.failed", "message": str(error)}
            elif message["type"] == "lifespan.shutdown.complete":
                await self._worker.stop()
            await send(message)

        await self._inner(scope, receive, announce)

    async def _describe(self, _: Incoming) -> Reply:
        return Reply(200, self._description)


def _refuse_method(method: str, route: Route) -> Reply:
    allowed = ", ".join(route.methods)
    body = problem(405, f"{method} is not allowed on {route.template}; expected {allowed}")
    return problem_reply(405, body, [(b"allow", allowed.encode())])
