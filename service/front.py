"""The front: a small ASGI application before BentoML's, which answers the contract itself.

BentoML's own stack costs ten times as much a request. Whatever runs here bypasses BentoML's timeout, limits, metrics
and errors, so each of them is provided here. The rest (`/metrics`, BentoML's API door, the files of the docs page) is
passed through, after the same checks.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any

import orjson

from core.errors import CallerGoneError, NotFoundError
from service.access import check_json, check_open_mode
from service.exchange import App, Incoming, Receive, Reply, Scope, Send, json_reply, problem_reply
from service.idempotency import answered_once
from service.openapi import DOCS_PAGE, openapi_document
from service.problems import problem, problem_of
from service.requests import PredictRequest, parse_predict, parse_predict_with_task
from service.routing import Endpoint, Handler, Route
from service.views import describe_models, describe_tasks
from service.worker import Worker

logger = logging.getLogger("regrade.front")

_PASSED_ON = re.compile(r"/(?:metrics|docs\.json|schema\.json|healthz|static_content/[\w.-]+)")
"""Paths that BentoML answers, to GET and HEAD."""


class Front:
    """The ASGI application of one worker."""

    def __init__(self, inner: App, worker: Worker) -> None:
        """Answer for `worker`, and pass to `inner` what BentoML answers."""
        self._inner = inner
        self._worker = worker
        self._openapi = orjson.dumps(openapi_document())
        routes = [
            Route("/v1/tasks/{task}/predict", {"POST": Endpoint(self._predict, json=True)}),
            Route("/predict", {"POST": Endpoint(self._predict_by_bentoml, json=True)}),
            Route("/v1/tasks", {"GET": Endpoint(self._tasks)}),
            Route("/v1/models/{task}", {"GET": Endpoint(self._models)}),
            Route("/livez", {"GET": Endpoint(self._livez, roles=None)}),
            Route("/readyz", {"GET": Endpoint(self._readyz, roles=None)}),
            Route("/openapi.json", {"GET": Endpoint(self._openapi_json, roles=None)}),
            Route("/docs", {"GET": Endpoint(self._docs, roles=None)}),
            Route("/", {"GET": Endpoint(self._index, roles=None)}),
        ]
        self._routes = [(route, route.pattern()) for route in routes]

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
        endpoint, incoming = "other", Incoming(scope, receive, dict(scope["headers"]))
        try:
            client = scope.get("client")
            check_open_mode(incoming.headers, client[0] if client else None)
            if _PASSED_ON.fullmatch(scope["path"]) and scope["method"] in {"GET", "HEAD"}:
                await self._inner(scope, receive, send)
                return
            endpoint, handler = self._find(incoming)
            reply = await handler(incoming)
        except CallerGoneError:
            return
        except Exception as error:  # every error becomes a reply: somebody is waiting for one
            status, body, headers = problem_of(error)
            if status == 500:
                logger.exception("%s failed", endpoint)
            reply = problem_reply(status, body, headers)
        if self._worker.draining or reply.status == 413:
            reply.headers.append((b"connection", b"close"))
        await reply.send(send)
        task = incoming.parameters.get("task", "")
        known = task if task in self._worker.live.tasks else ""
        elapsed = time.perf_counter() - started
        self._worker.metrics.answered(endpoint, known, incoming.version, reply.status, elapsed)

    def _find(self, incoming: Incoming) -> tuple[str, Handler]:
        path, method = incoming.scope["path"], incoming.scope["method"]
        for route, pattern in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            incoming.parameters = match.groupdict()
            endpoint = route.methods.get("GET" if method == "HEAD" else method)
            return route.template, endpoint.handler if endpoint else _refusing(method, route)
        raise NotFoundError(f"nothing is at {path[:200]!r}; /docs shows what there is")

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

    async def _predict(self, incoming: Incoming) -> Reply:
        check_json(incoming.headers)
        return await self._answer(incoming, parse_predict(await incoming.body()))

    async def _predict_by_bentoml(self, incoming: Incoming) -> Reply:
        """Answer BentoML's clients: the same body with the task in it, through the same checks."""
        check_json(incoming.headers)
        incoming.parameters["task"], request = parse_predict_with_task(await incoming.body())
        return await self._answer(incoming, request)

    async def _answer(self, incoming: Incoming, request: PredictRequest) -> Reply:
        task = incoming.parameters["task"]
        self._worker.live.folder(task)  # an unknown task is said so before anything is remembered for it

        async def work() -> bytes:
            reply = await self._worker.predictor.predict(task, request, incoming.is_gone)
            incoming.version = str(reply["model_version"])
            return orjson.dumps(reply)

        key = incoming.headers.get(b"idempotency-key")
        if key is None:
            return Reply(200, await work())
        fingerprint = request.model_dump_json().encode()
        return Reply(200, await answered_once(self._worker.store, f"predict {task}", key, fingerprint, work))

    async def _tasks(self, _: Incoming) -> Reply:
        return json_reply(describe_tasks(self._worker.live))

    async def _models(self, incoming: Incoming) -> Reply:
        return json_reply(await describe_models(self._worker.live, incoming.parameters["task"]))

    async def _livez(self, _: Incoming) -> Reply:
        return json_reply({"alive": True})

    async def _readyz(self, _: Incoming) -> Reply:
        ready = self._worker.is_ready
        content = {"ready": ready, "draining": self._worker.draining, "tasks": self._worker.live.versions}
        return json_reply(content, 200 if ready else 503)

    async def _openapi_json(self, _: Incoming) -> Reply:
        return Reply(200, self._openapi)

    async def _docs(self, _: Incoming) -> Reply:
        return Reply(200, DOCS_PAGE, b"text/html; charset=utf-8")

    async def _index(self, _: Incoming) -> Reply:
        return Reply(307, b"", headers=[(b"location", b"/docs")])


def _refusing(method: str, route: Route) -> Handler:
    allowed = ", ".join(route.methods)

    async def refuse(_: Incoming) -> Reply:
        body = problem(405, f"{method} is not allowed on {route.template}; expected {allowed}")
        return problem_reply(405, body, [(b"allow", allowed.encode())])

    return refuse
