"""The application of the demo: it sends messages, and says of some predictions that they were right or wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from core.demo import DEMO_SUBJECT
from regrade.demo.cast import Played
from regrade.demo.client import Client, RefusedError
from regrade.demo.messages import Message, stream
from regrade.demo.scene import MARKED, Scene

_BURST = 48
"""Messages a task that are sent at once at the beginning, so that there is something to see."""

_BURST_OF = 16

_REPORTS_WRONG, _REPORTS_RIGHT = 0.15, 0.01
"""Shares of wrong and of right predictions of which the application says so."""


def send_messages(scene: Scene, client: Client, random: Random, *, rate: float, most: int | None) -> None:
    """Send messages of every task in turn: many at once at first, then one after the other."""
    streams = {task.name: stream(task.messages, random, vary=task.vary) for task in scene.tasks}
    left = most
    for task, wanted in _sizes(scene.tasks, random):
        size = wanted if left is None else min(wanted, left)
        if size == 0 or scene.stop.is_set():
            return
        _predict(scene, client, random, task, [next(streams[task.name]) for _ in range(size)])
        left = None if left is None else left - size
        if size == 1 and scene.stop.wait(random.expovariate(rate)):
            return


def _sizes(tasks: Sequence[Played], random: Random) -> Iterator[tuple[Played, int]]:
    """Yield which task the next messages are of, and how many they are; without end."""
    for _ in range(_BURST // _BURST_OF):
        for task in tasks:
            yield task, _BURST_OF
    while True:
        yield random.choice(tasks), 1


def _predict(scene: Scene, client: Client, random: Random, task: Played, messages: Sequence[Message]) -> None:
    body: dict[str, Any] = {"texts": [one.text for one in messages], **MARKED}
    reply = client.post(f"/v1/tasks/{task.name}/predict", body)
    for message, said in zip(messages, reply["predictions"], strict=True):
        review = said["review"]
        scene.count(task, sent=1, asked=review is not None)
        if review is not None:
            scene.known[review["item_id"]] = message
        share = _REPORTS_RIGHT if said["label"] == message.label else _REPORTS_WRONG
        if random.random() < share:
            _report(scene, client, random, task, message, said)


def _report(
    scene: Scene, client: Client, random: Random, task: Played, message: Message, said: Mapping[str, Any]
) -> None:
    """Tell the service that a prediction was right or wrong, with or without the right label."""
    right = said["label"] == message.label
    told = {"correct": right} if right or random.random() < 0.5 else {"label": message.label}
    try:
        reply = client.post(
            "/v1/feedback", {"prediction_id": said["id"], "source": DEMO_SUBJECT, **told}, patient=False
        )
    except RefusedError as error:
        if error.status not in {404, 429}:  # not written yet; as many reports as a task takes in a minute
            raise
        return
    scene.count(task, reported=1)
    if reply["item_id"] is not None:
        scene.known[reply["item_id"]] = message
