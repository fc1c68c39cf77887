"""Adjudication: what people disagree on, for reviewers to decide."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from pydantic import Field

from core.errors import NotFoundError
from core.ids import is_id
from core.roles import REVIEWERS, Caller
from feedback.disputes import Dispute, find_dispute
from feedback.new_items import first_asked
from service.adjudication_replies import DisputeView
from service.exchange import Incoming, Reply
from service.pages.markdown import render_markdown
from service.pages.site import Site
from service.queries import Query, read_query
from service.routing import Endpoint, Route
from service.worker import Worker
from tasks.declaration import Task


class ItemQuery(Query):
    """What stands after `?`."""

    item: str | None = Field(None, description="The item to open first, whatever its state.")


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of adjudication."""
    page = _AdjudicationPage(worker, site)
    return [Route("/app/adjudicate/{task}", {"GET": Endpoint(page.show, REVIEWERS)})]


class _AdjudicationPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the page; its scripts fetch the disputes, but for an item that was asked for by its id."""
        folder = self._worker.live.folder(incoming.parameters["task"])
        wanted = read_query(ItemQuery, incoming).item
        opened = None if wanted is None else await asyncio.to_thread(self._find, folder.task, wanted)
        guideline = render_markdown(await asyncio.to_thread(lambda: folder.guideline))
        about = about_adjudication(folder.task, incoming.caller, opened)
        return await self._site.page(
            incoming, "adjudication.html.j2", task=folder.task, guideline=guideline, adjudication=about
        )

    def _find(self, task: Task, item_id: str) -> Dispute:
        """Return an item that can be decided.

        Raises:
            NotFoundError: the task has none with this id, or its text was erased.
        """
        found = find_dispute(self._worker.store, task, item_id) if is_id(item_id) else None
        if found is None or found.state not in {"open", "resolved"}:
            raise NotFoundError(f"{task.name} has no item {item_id[:100]!r} that could be decided")
        return found


def about_adjudication(task: Task, caller: Caller, opened: Dispute | None) -> dict[str, Any]:
    """Return what the page's scripts need to know."""
    stage, usual = first_asked(task.review)
    return {
        "task": task.name,
        "kind": task.kind,
        "labels": [{"name": label.name, "description": label.description} for label in task.labels],
        "asks_one": stage == "expert",
        "usual": usual,
        "person": caller.person,
        "opened": DisputeView.model_validate(asdict(opened)).model_dump(mode="json") if opened else None,
    }
