"""Every page, and the files they load."""

from __future__ import annotations

import asyncio

from core.errors import NotFoundError
from service.exchange import Incoming, Reply
from service.pages import (
    adjudication,
    admin,
    admin_service,
    bulk,
    desk,
    home,
    item,
    lineage,
    reports,
    sign_in,
    task,
    try_it,
)
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker


def page_routes(worker: Worker, site: Site) -> list[Route]:
    """Return the routes under `/app`."""
    return [
        *sign_in.routes(worker, site),
        *home.routes(worker, site),
        *desk.routes(worker, site),
        *bulk.routes(worker, site),
        *adjudication.routes(worker, site),
        *task.routes(worker, site),
        *reports.routes(worker, site),
        *try_it.routes(worker, site),
        *item.routes(worker, site),
        *lineage.routes(worker, site),
        *admin_service.routes(worker, site),
        *admin.routes(worker, site),
        Route("/app/static/{version}/{name}", {"GET": Endpoint(_Files(site).send, roles=None)}),
    ]


class _Files:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def send(self, incoming: Incoming) -> Reply:
        """Send a file, which browsers may keep for good: its address tells its version."""
        asset = self._site.assets.find(incoming.parameters["version"], incoming.parameters["name"])
        if asset is None:
            raise NotFoundError("there is no such file; load the page again")
        headers = [
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
            (b"vary", b"Accept-Encoding"),
        ]
        if b"gzip" in incoming.headers.get(b"accept-encoding", b""):
            body = await asyncio.to_thread(lambda: asset.compressed)
            return Reply(200, body, asset.media_type, [*headers, (b"content-encoding", b"gzip")])
        return Reply(200, await asyncio.to_thread(lambda: asset.body), asset.media_type, headers)
