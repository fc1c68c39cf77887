"""Administration of the service: what it is, what it runs with, and where it sends events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core import VERSION
from core.roles import ADMINS
from feedback.webhook_view import LATEST, webhook_health
from service.exchange import Incoming, Reply
from service.pages.shown_settings import shown_settings, shown_task
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker


@dataclass(frozen=True)
class Facts:
    """What this service is: `up_to_date` tells whether its tables fit the release, `tasks` how many it serves."""

    version: str
    database: str
    up_to_date: bool
    runner: str
    tasks: int


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the routes of the overview, the settings and the webhooks."""
    pages = _Service(worker, site)
    handlers = {"": pages.overview, "/settings": pages.settings, "/webhooks": pages.webhooks}
    return [Route(f"/app/admin{path}", {"GET": Endpoint(handler, ADMINS)}) for path, handler in handlers.items()]


class _Service:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def overview(self, incoming: Incoming) -> Reply:
        """Lead to the pages of administration."""
        return await self._site.page(incoming, "admin_overview.html.j2", facts=await self._facts())

    async def settings(self, incoming: Incoming) -> Reply:
        """Show what the service runs with, and how its tasks are declared."""
        live = self._worker.live
        declared = [shown_task(task, live.version(name)) for name, task in self._worker.declared().items()]
        settings = shown_settings(self._worker.settings)
        facts = await self._facts()
        return await self._site.page(
            incoming, "admin_settings.html.j2", facts=facts, settings=settings, declared=declared
        )

    async def webhooks(self, incoming: Incoming) -> Reply:
        """Show where events are sent, and whether they arrive."""
        found = await asyncio.to_thread(webhook_health, self._worker.store)
        return await self._site.page(incoming, "admin_webhooks.html.j2", webhooks=found, latest=LATEST)

    async def _facts(self) -> Facts:
        store = self._worker.store
        return Facts(
            version=VERSION,
            database="SQLite" if store.is_sqlite else "PostgreSQL",
            up_to_date=await asyncio.to_thread(store.is_up_to_date),
            runner=self._worker.settings.runner,
            tasks=len(self._worker.live.tasks),
        )
