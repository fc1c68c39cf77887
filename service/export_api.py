"""`GET /v1/queue/{task}/export`: answers and resolutions as a file, sent as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from pydantic import Field

from core.roles import REVIEWERS
from feedback.exports import Export, What, begin_export
from feedback.formats import MEDIA_TYPES, Form, export_file, rows_of
from service.exchange import Incoming, Reply, StreamedReply
from service.queries import Moment, Query, read_query
from service.routing import Doc, Endpoint, Route
from service.worker import Worker

_SUFFIXES: dict[Form, str] = {"csv": "csv", "jsonl": "jsonl", "label-studio": "json"}


class ExportQuery(Query):
    """What stands after `?`."""

    what: What = Field("resolutions", description="Final labels, or what each person said.")
    format: Form = Field("csv", description="Form of the file.")
    since: Moment | None = Field(None, description="Only what was said since then, such as 2026-01-31T08:00Z.")


_DOC = Doc("Answers or resolutions as a file", query=ExportQuery, media_types=tuple(MEDIA_TYPES.values()))


def routes(worker: Worker) -> list[Route]:
    """Return the route of exports."""
    api = _ExportApi(worker)
    return [Route("/v1/queue/{task}/export", {"GET": Endpoint(api.export, REVIEWERS, doc=_DOC)})]


class _ExportApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def export(self, incoming: Incoming) -> Reply:
        """Send the rows; who took how many out is noted before the first goes."""
        query = read_query(ExportQuery, incoming)
        task = self._worker.live.folder(incoming.parameters["task"]).task
        export = Export(task, query.what, query.since)
        store, source = self._worker.store, rows_of(export, query.format)
        name = f"{task.name}-{query.what}.{_SUFFIXES[query.format]}"
        headers = [(b"content-disposition", f'attachment; filename="{name}"'.encode())]
        media_type = MEDIA_TYPES[query.format].encode()
        if not incoming.wants_head:
            await asyncio.to_thread(begin_export, store, incoming.caller, source, query.format)
        return StreamedReply(_from_thread(export_file(store, export, query.format)), media_type, headers)


async def _from_thread(pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Give what `pieces` gives, each read outside the event loop."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
