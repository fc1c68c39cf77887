"""The page of one item: its text, what the model and people said of it, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

from core.errors import NotFoundError, UngrantedError
from core.ids import is_id
from core.roles import REVIEWERS
from feedback.disputes import letters
from feedback.item_links import item_links
from feedback.item_view import find_item
from feedback.lineage import trace
from service.exchange import Incoming, Reply
from service.lineage_view import describe_lineage
from service.pages.lineage import run_ids
from service.pages.reports import has_run_report
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker
from tasks.declaration import Task

_MOST = 50
"""Predictions and reports shown: copies of a popular text share one item."""


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of single items."""
    return [Route("/app/items/{id}", {"GET": Endpoint(_ItemPage(worker, site).show, REVIEWERS)})]


class _ItemPage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show everything about an item of a task that the caller may see."""
        identifier = incoming.parameters["id"]
        item = await self._find(incoming, identifier)
        task = self._worker.live.folder(item["task"]).task
        links = await asyncio.to_thread(item_links, self._worker.store, identifier, _MOST)
        answers = _answers(item["answers"], task)
        known = await asyncio.to_thread(self._lineage, identifier)
        return await self._site.page(
            incoming, "item.html.j2", task=task, item=item, answers=answers, links=links, most=_MOST, **known
        )

    def _lineage(self, identifier: str) -> dict[str, Any]:
        found = describe_lineage(trace(self._worker.store, identifier, most=_MOST))
        home = self._worker.settings.home
        return {"found": found, "reports": {run for run in run_ids(found) if has_run_report(home, run)}}

    async def _find(self, incoming: Incoming, identifier: str) -> dict[str, Any]:
        unknown = f"no item {identifier[:100]!r}"
        if not is_id(identifier):
            raise NotFoundError(unknown)
        item = await asyncio.to_thread(find_item, self._worker.store, identifier, most=1)
        if item is None or item["task"] not in self._worker.live.tasks:
            raise NotFoundError(unknown)
        if not incoming.caller.may_see(item["task"]):
            raise UngrantedError(unknown)
        return item


def _answers(answers: list[dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """Return the answers, their givers as letters where the task hides names."""
    people = list(dict.fromkeys(one["annotator"] for one in answers))
    shown = {name: name if task.review.show_names else letters(number) for number, name in enumerate(people)}
    return [one | {"annotator": shown[one["annotator"]]} for one in answers]
