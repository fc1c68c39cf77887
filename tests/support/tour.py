"""A tour of every page: what to fill a service with so that each has something to show, and as whom to look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from core.roles import Role
from feedback.quarantines import Suspicion, raise_quarantines
from tasks.declaration import read_task
from tests.support.desk import Desk, unique
from tests.support.learnt import judged_run, snapshot_that_used, write_report
from tests.support.page_tasks import BIDI, SCRIPT
from tests.support.pages import PageRoute, all_pages

PEOPLE: dict[Role, str] = {"app": "shop", "annotator": "cai", "reviewer": "rita", "admin": "root"}
"""As whom a page is seen by each role."""

_TASKS = {
    "/app/review/{task}": ("wide", "many", "chinese"),
    "/app/review/{task}/bulk": ("wide",),
    "/app/adjudicate/{task}": ("disputed",),
}
"""Tasks with which a page is seen; any other with the one that has a model."""

HOSTILE = f"{SCRIPT} {BIDI}"
LONG = "x" * 10_000


@dataclass(frozen=True)
class Stop:
    """A page with its parameters filled in, and the roles that may see it."""

    template: str
    path: str
    page: PageRoute

    def __str__(self) -> str:
        return self.path


def stops(values: dict[str, str]) -> Iterator[Stop]:
    """Yield every page of the service with the tasks it is seen with."""
    for page in all_pages():
        for task in _TASKS.get(page.template, ("tiny-intent",)) if "{task}" in page.template else ("",):
            yield Stop(page.template, page.path({**values, "task": task}), page)


def fill(desk: Desk) -> dict[str, str]:
    """Let people work a little in every task, and a model learn from it.

    Return what goes into the pages' paths: the `id` of an item, a `version` and a `run`.
    """
    for task in ("wide", "many", "chinese", "tiny-intent"):
        desk.bring(task, *(unique("where is my parcel") for _ in range(24)))
    desk.bring("hostile", *(unique(HOSTILE) for _ in range(12)), LONG)
    [item_id, *_] = desk.bring("disputed", *(unique("the parcel, or the refund?") for _ in range(3)))
    for person, label in (("ann", "parcel"), ("bob", "refund")):
        for item in desk.claim(person, "disputed", count=3):
            desk.answer(person, item, label=label, comment=f"{HOSTILE} comment")
    for person, label in (("ann", SCRIPT), ("bob", "plain")):
        said = desk.answer(person, desk.claim(person, "hostile")[0], label=label, proposed_label=HOSTILE[:200])
        assert said.status_code == 201, said.text
    _predict(desk)
    for item in desk.claim("ann", "tiny-intent", count=3):
        desk.answer("ann", item, label="refund")
    version = (desk.server.home / "versions.txt").read_text(encoding="utf-8").split()[0]
    return {"id": item_id, "version": version, "run": _learn(desk, version)}


def _learn(desk: Desk, version: str) -> str:
    """Let a run have learnt from what was reviewed, and a source be in quarantine; return the run."""
    task = read_task(desk.server.home / "tasks" / "tiny-intent")
    snapshot = snapshot_that_used(desk.store, task, "5" * 64)
    run = judged_run(desk.store, task.name, snapshot.sha256, version, "fail", status="rejected", champion=version)
    write_report(desk.server.home, run.id)
    flood = Suspicion(HOSTILE, "burst", datetime.now(UTC), {"rows": 100, "implausible": 0.9})
    with desk.store.write() as connection:
        raise_quarantines(desk.store, connection, task.name, [flood])
    return run.id


def _predict(desk: Desk) -> None:
    texts = [unique("where is my parcel") for _ in range(20)]
    reply = desk.post("shop", "/v1/tasks/tiny-intent/predict", {"texts": texts})
    assert reply.status_code == 200, reply.text
    wrong = {"prediction_id": reply.json()["predictions"][0]["id"], "correct": False}
    assert desk.post("shop", "/v1/feedback", wrong).status_code == 201


def signed_in(desk: Desk, person: str) -> dict[str, Any]:
    """Return the cookies of somebody who signed in, as Playwright's `storage_state`."""
    with httpx.Client(base_url=desk.server.url) as client:
        client.post("/app/sign-in", data={"key": desk.keys[person]})
        cookies = [{"name": name, "value": value, "url": desk.server.url} for name, value in client.cookies.items()]
    assert cookies, f"{person} could not sign in"
    return {"cookies": cookies, "origins": []}
