"""Many at once: items that are alike, to be answered together."""

from __future__ import annotations

from core.roles import ANNOTATORS
from service.exchange import Incoming, Reply
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of the page."""
    page = _BulkPage(worker, site)
    return [Route("/app/review/{task}/bulk", {"GET": Endpoint(page.show, ANNOTATORS)})]


class _BulkPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the page, without items: its scripts claim those."""
        task = self._worker.live.folder(incoming.parameters["task"]).task
        about = {
            "task": task.name,
            "kind": task.kind,
            "labels": [{"name": label.name, "description": label.description} for label in task.labels],
            "lease_seconds": task.review.lease_seconds,
            "person": incoming.caller.person,
        }
        return await self._site.page(incoming, "bulk.html.j2", task=task, bulk=about)
