"""The page of lineage: where a prediction came from, and where an answer went."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from core.roles import REVIEWERS
from service.exchange import Incoming, Reply
from service.lineage_api import seen_tasks
from service.lineage_view import describe_lineage, find_lineage
from service.pages.reports import has_run_report, report_file
from service.pages.site import Site
from service.routing import Endpoint, Route
from service.worker import Worker

MOST = 50
"""Reviewed items and snapshots shown, each."""


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the route of lineage."""
    return [Route("/app/lineage/{id}", {"GET": Endpoint(_LineagePage(worker, site).show, REVIEWERS)})]


class _LineagePage:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site

    async def show(self, incoming: Incoming) -> Reply:
        """Show the lineage of whatever has this id, of a task that the caller may see."""
        known = await asyncio.to_thread(self._look, incoming.parameters["id"], seen_tasks(self._worker, incoming))
        task = self._worker.live.folder(known["found"]["task"]).task
        return await self._site.page(incoming, "lineage.html.j2", task=task, **known)

    def _look(self, identifier: str, tasks: list[str]) -> dict[str, Any]:
        settings = self._worker.settings
        found = describe_lineage(find_lineage(self._worker.store, identifier, tasks, MOST))
        model = found["model"]
        trained = (
            model is not None and model["stored"] and report_file(settings.reports, found["task"], model["version"])
        )
        reports = {run for run in run_ids(found) if has_run_report(settings.home, run)}
        return {"found": found, "reports": reports, "has_training_report": bool(trained)}


def run_ids(found: dict[str, Any]) -> Iterator[str]:
    """Yield the id of every run that a lineage names."""
    for holder in (found, found["model"] or {}):
        if holder.get("run"):
            yield holder["run"]["run_id"]
    reached = [made for one in found["reached"] or () for use in one["used_by"] for made in use["made"]]
    for made in [*(found["made"] or ()), *reached]:
        yield made["run"]["run_id"]
