"""What helps people to answer: the guideline, examples of labels, similar texts, and what they have done so far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.roles import ALL_ROLES, ANNOTATORS
from feedback.alike import ResolvedText, ResolvedTexts
from feedback.own_answers import own_answers
from feedback.values import in_words, one_value
from service.desk_replies import (
    ExamplesQuery,
    ExamplesReply,
    GuidelineReply,
    MineQuery,
    MineReply,
    SimilarReply,
    SimilarRequest,
    read_similar,
)
from service.exchange import Incoming, Reply, json_reply
from service.queries import read_query
from service.routing import Doc, Endpoint, Route
from service.worker import Worker
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from tasks.examples import StarterTexts

_GUIDELINE = Doc("The guideline of a task", GuidelineReply)
_EXAMPLES = Doc("Texts that show what a label means", ExamplesReply, query=ExamplesQuery, problems=(503,))
_SIMILAR = Doc("Resolved texts that are most alike to one", SimilarReply, SimilarRequest, problems=(503,))
_MINE = Doc("What the caller has done of a task", MineReply, query=MineQuery, problems=(503,))


def routes(worker: Worker) -> list[Route]:
    """Return the routes of what stands beside an item at the desk."""
    api = _DeskApi(worker)
    queue = "/v1/queue/{task}"
    return [
        Route("/v1/tasks/{task}/guideline", {"GET": Endpoint(api.guideline, ALL_ROLES, doc=_GUIDELINE)}),
        Route(f"{queue}/examples", {"GET": Endpoint(api.examples, ANNOTATORS, doc=_EXAMPLES)}),
        Route(f"{queue}/similar", {"POST": Endpoint(api.similar, ANNOTATORS, once=True, json=True, doc=_SIMILAR)}),
        Route(f"{queue}/mine", {"GET": Endpoint(api.mine, ANNOTATORS, doc=_MINE)}),
    ]


class _DeskApi:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._starters = StarterTexts()
        self._resolved: dict[str, tuple[Task, ResolvedTexts]] = {}

    def _folder(self, incoming: Incoming) -> TaskFolder:
        return self._worker.live.folder(incoming.parameters["task"])

    def _texts(self, task: Task) -> ResolvedTexts:
        """Return the window of the task's resolved texts; a new one where its declaration has changed."""
        known = self._resolved.get(task.name)
        if known is None or known[0] != task:
            known = self._resolved[task.name] = (task, ResolvedTexts(self._worker.store, task))
        return known[1]

    async def guideline(self, incoming: Incoming) -> Reply:
        """Send the guideline as it is in the task's folder now."""
        folder = self._folder(incoming)
        markdown = await asyncio.to_thread(lambda: folder.guideline)
        return json_reply({"task": folder.task.name, "revision": folder.task.revision, "markdown": markdown})

    async def examples(self, incoming: Incoming) -> Reply:
        """Send what people resolved lately as a label, and then texts that models learn it from."""
        folder, query = self._folder(incoming), read_query(ExamplesQuery, incoming)
        value = one_value(folder.task, query.label)
        resolved = self._texts(folder.task)

        def work() -> list[dict[str, str]]:
            found = {one.text: "people" for one in resolved.labelled(value, query.count)}
            for text in self._starters.labelled(folder, query.label):
                found.setdefault(text, "starter")
            return [{"text": text, "source": source} for text, source in list(found.items())[: query.count]]

        return json_reply({"examples": await asyncio.to_thread(work)})

    async def similar(self, incoming: Incoming) -> Reply:
        """Send the resolved texts that are most alike."""
        task, request = self._folder(incoming).task, read_similar(await incoming.body())
        found = await asyncio.to_thread(self._texts(task).similar, request.text, request.count)
        names = {label.id: label.name for label in task.labels}
        return json_reply({"texts": [_shown(one, names) for one in found]})

    async def mine(self, incoming: Incoming) -> Reply:
        """Tell what the caller has done."""
        task, query = self._folder(incoming).task, read_query(MineQuery, incoming)
        done = await asyncio.to_thread(own_answers, self._worker.store, task, incoming.caller, query.since)
        return json_reply(asdict(done))


def _shown(one: ResolvedText, names: Mapping[int, str]) -> dict[str, Any]:
    words = in_words(one.value, names)
    about = {"similarity": round(one.likeness, 4), "resolved_at": one.resolved_at}
    return {"item_id": one.item_id, "text": one.text, **words, **about}
