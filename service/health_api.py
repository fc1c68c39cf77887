"""Health, and the API's own description: what needs no key."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.exchange import Incoming, Reply, json_reply
from service.routing import Doc, Endpoint, Route
from service.worker import Worker


class Readiness(BaseModel):
    """Body of `GET /readyz`."""

    ready: bool
    draining: bool
    tasks: dict[str, str | None] = Field(description="Live version by task.")
    trials: dict[str, str] | None = Field(
        None, description="Candidate that this worker tries, by task that has one on trial; missing where none has."
    )


class Liveness(BaseModel):
    """Body of `GET /livez`."""

    alive: bool


_LIVEZ = Doc("Whether the process answers at all", Liveness)
_READYZ = Doc("Whether requests should be sent here", Readiness, also={503: Readiness})


def routes(worker: Worker) -> list[Route]:
    """Return the routes of health and documentation."""
    api = _HealthApi(worker)
    return [
        Route("/livez", {"GET": Endpoint(api.livez, roles=None, doc=_LIVEZ)}),
        Route("/readyz", {"GET": Endpoint(api.readyz, roles=None, doc=_READYZ)}),
        Route("/docs", {"GET": Endpoint(api.docs, roles=None)}),
        Route("/", {"GET": Endpoint(api.index, roles=None)}),
    ]


class _HealthApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def livez(self, _: Incoming) -> Reply:
        """Say that the process answers."""
        return json_reply({"alive": True})

    async def readyz(self, _: Incoming) -> Reply:
        """Say whether requests should be sent here, and which versions answer them."""
        ready = self._worker.is_ready
        live = self._worker.live
        content = {"ready": ready, "draining": self._worker.draining, "tasks": live.versions}
        if live.candidates.versions:
            content["trials"] = live.candidates.versions
        return json_reply(content, 200 if ready else 503)

    async def docs(self, _: Incoming) -> Reply:
        """Show the API's description."""
        return Reply(200, DOCS_PAGE, b"text/html; charset=utf-8")

    async def index(self, _: Incoming) -> Reply:
        """Lead people to the pages."""
        return Reply(307, b"", headers=[(b"location", b"/app")])


DOCS_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Regrade API</title>
<link rel="stylesheet" href="/static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true});</script>
</body>
</html>
"""
"""Swagger UI, from the files that BentoML ships: nothing is fetched from elsewhere."""
