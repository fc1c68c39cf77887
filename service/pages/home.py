"""The first page: every task that the caller may see, and where work waits."""

from __future__ import annotations

import asyncio
from typing import Any

from core.roles import ALL_ROLES, ANNOTATORS
from feedback.stats import queue_depths
from feedback.summaries import read_summaries
from service.exchange import Incoming, Reply
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the routes of the first page: people write it with and without a slash at the end."""
    shown = {"GET": Endpoint(_Home(worker, site).show, ALL_ROLES)}
    return [Route("/app", shown), Route("/app/", shown)]


class _Home:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the granted tasks; applications see no figures, annotators those of the queue."""
        names = [name for name in self._worker.declared() if incoming.caller.may_see(name)]
        known: dict[str, Any] = {"depths": {}, "summaries": {}, "versions": self._worker.live.versions}
        if incoming.caller.role in ANNOTATORS:
            known["depths"] = await asyncio.to_thread(queue_depths, self._worker.store, names)
        if incoming.caller.is_reviewer:
            known["summaries"] = await asyncio.to_thread(read_summaries, self._worker.store, names)
        return await self._site.page(incoming, "home.html.j2", **known)
