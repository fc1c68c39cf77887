"""Try it: a page where somebody types a message, sees what the model says, and can say that it is wrong."""

from __future__ import annotations

from core.roles import APPS
from service.exchange import Incoming, Reply
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of trying a task."""
    return [Route("/app/try/{task}", {"GET": Endpoint(_TryPage(worker, site).show, APPS)})]


class _TryPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the page; its script asks the model by the API, as any application does."""
        name = incoming.parameters["task"]
        live = self._worker.live
        about = {
            "task": name,
            "is_reviewer": incoming.caller.is_reviewer,
            "records": self._worker.settings.record == "all",
        }
        return await self._site.page(
            incoming, "try.html.j2", task=live.folder(name).task, live=live.version(name), about=about
        )
