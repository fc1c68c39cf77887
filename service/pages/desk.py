"""The review desk, where annotators answer one item after the other."""

from __future__ import annotations

import asyncio
from typing import Any

from core.roles import ANNOTATORS, Caller
from service.exchange import Incoming, Reply
from service.pages.markdown import render_markdown
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker
from tasks.declaration import Task


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of the review desk."""
    page = _DeskPage(worker, site)
    return [Route("/app/review/{task}", {"GET": Endpoint(page.show, ANNOTATORS)})]


class _DeskPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the desk, without an item: its scripts claim those, so that a reload never claims twice."""
        folder = self._worker.live.folder(incoming.parameters["task"])
        guideline = render_markdown(await asyncio.to_thread(lambda: folder.guideline))
        about = _about(folder.task, incoming.caller)
        return await self._site.page(incoming, "desk.html.j2", task=folder.task, guideline=guideline, desk=about)


def _about(task: Task, caller: Caller) -> dict[str, Any]:
    """Return what the desk's scripts need to know."""
    return {
        "task": task.name,
        "kind": task.kind,
        "labels": [{"name": label.name, "description": label.description} for label in task.labels],
        "languages": task.languages,
        "lease_seconds": task.review.lease_seconds,
        "person": caller.person,
    }
