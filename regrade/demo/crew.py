"""The people of the demo at work: annotators who claim and answer, and a reviewer who brings texts and decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

from core.demo import DEMO_LANGUAGE
from core.errors import UnavailableError
from regrade.demo.cast import Played
from regrade.demo.client import Client, RefusedError
from regrade.demo.messages import stream
from regrade.demo.people import REVIEWER, Person, say, think
from regrade.demo.scene import MARKED, Scene

_IMPORTED, _CHECKS = 24, 12
"""Messages a task that are brought to be labelled, and as check items."""

_REDO = 0.02
"""Share of answers that are taken back and given again."""

_REVIEW_EVERY_S = 3.0
_IDLE_S = 0.4
_FIRST_S = 0.5
"""Seconds that pass before somebody looks at the queue for the first time."""

_MOST_HELD = 3
_LEFT_OPEN, _LEFT_DISPUTED = 12, 3
"""Items a task that are left for whoever looks at the pages: open ones, and ones that a reviewer must decide."""

_OVERTAKEN = {404, 409}
"""Statuses of what somebody else was quicker to do: decide an item, or clear the demo."""


def answer_items(scene: Scene, client: Client, random: Random, *, person: Person) -> None:
    """Claim and answer items of one task after the other, until it is over."""
    scene.stop.wait(_FIRST_S)
    while not scene.stop.is_set():
        task = random.choice(list(scene.tasks))
        if client.get(f"/v1/queue/{task.name}/stats")["open"] <= _LEFT_OPEN:
            scene.stop.wait(_IDLE_S / scene.pace)
            continue
        wanted = {"count": random.randint(1, _MOST_HELD), "language": DEMO_LANGUAGE}
        held = client.post(f"/v1/queue/{task.name}/claim", wanted)["items"]
        with _given_back(client, held):
            while held and not scene.stop.wait(think(person, scene.known.get(held[0]["item_id"]), scene.pace, random)):
                _answer_one(scene, client, random, person, task, held.pop(0))
        scene.stop.wait(_IDLE_S / scene.pace)


@contextmanager
def _given_back(client: Client, held: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Give back what is still held at the end of the block."""
    try:
        yield
    finally:
        for one in held:
            with suppress(RefusedError, UnavailableError):
                client.post(f"/v1/queue/items/{one['item_id']}/release", {"lease_token": one["lease_token"]})


def _answer_one(
    scene: Scene, client: Client, random: Random, person: Person, task: Played, item: Mapping[str, Any]
) -> None:
    suggestions = [one["label"] for one in item["suggestions"]]
    said = say(person, scene.known.get(item["item_id"]), suggestions, task.labels, random)
    path = f"/v1/queue/items/{item['item_id']}"
    try:
        reply = client.post(f"{path}/answer", {"lease_token": item["lease_token"], **said})
        if "skip" not in said and random.random() < _REDO:
            again = client.post(f"{path}/undo", {"answer_id": reply["answer_id"]})
            reply = client.post(f"{path}/answer", {"lease_token": again["lease_token"], **said})
    except RefusedError as error:
        if error.status not in _OVERTAKEN:
            raise
        return
    gave_up = "skip" in said
    scene.count(task, answered=not gave_up, skipped=gave_up, resolved=reply["resolution"] is not None)


def review_items(scene: Scene, client: Client, random: Random) -> None:
    """Bring check items and texts to be labelled, and then decide what others disagree on, until it is over."""
    for task in scene.tasks:
        _bring(scene, client, random, task)
    while not scene.stop.wait(_REVIEW_EVERY_S / scene.pace):
        for task in scene.tasks:
            disputes = client.get(f"/v1/queue/{task.name}/disputes?limit=100")["disputes"]
            mine = [one for one in disputes if one["language"] == DEMO_LANGUAGE]
            if len(mine) > _LEFT_DISPUTED:
                _decide(scene, client, random, task, mine[0])


def _bring(scene: Scene, client: Client, random: Random, task: Played) -> None:
    fresh = stream(task.messages, random, vary=task.vary)
    inside = (message for message in fresh if message.label in task.labels)
    for check, size, source in ((True, _CHECKS, inside), (False, _IMPORTED, fresh)):
        chosen = {message.text: message for message, _ in zip(source, range(size), strict=False)}
        texts = [{"text": one.text, **MARKED} | ({"label": one.label} if check else {}) for one in chosen.values()]
        try:
            reply = client.post(f"/v1/queue/{task.name}/items", {"texts": texts, "check": check})
        except RefusedError as error:
            if error.status != 409:  # an earlier demo brought one of them with another answer
                raise
            continue
        scene.known |= {one["item_id"]: message for one, message in zip(reply["items"], chosen.values(), strict=True)}


def _decide(scene: Scene, client: Client, random: Random, task: Played, dispute: Mapping[str, Any]) -> None:
    """Settle a disputed item, if anything is known of it."""
    if scene.stop.wait(think(REVIEWER, None, scene.pace, random)):
        return
    message = scene.known.get(dispute["item_id"])
    said = say(REVIEWER, message, [one["label"] for one in dispute["suggestions"]], task.labels, random)
    if "skip" in said:
        return
    try:
        client.post(f"/v1/queue/items/{dispute['item_id']}/decide", said)
    except RefusedError as error:
        if error.status not in _OVERTAKEN:
            raise
        return
    scene.count(task, decided=1)
