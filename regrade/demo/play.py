"""The demo itself: an application that sends messages, and people who answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import SystemRandom

from regrade.demo.access import Access
from regrade.demo.application import send_messages
from regrade.demo.cast import Played
from regrade.demo.counts import Counts
from regrade.demo.crew import answer_items, review_items
from regrade.demo.people import ANNOTATORS, REVIEWER, SHOP
from regrade.demo.scene import Scene

USUAL_RATE = 4.0
"""Messages a second at which people take the time that they usually take; at more they hurry."""


@contextmanager
def play(
    access: Access, tasks: Sequence[Played], *, rate: float, most: int | None, seed: int | None
) -> Iterator[Scene]:
    """Send messages at `rate` a second, `most` in all (None: without end), and let people answer, until the block ends.

    Raises:
        RegradeError: the service went away, or refused, which also ends the sending.
    """
    scene = Scene(access, tasks, max(1.0, rate / USUAL_RATE), {task.name: Counts() for task in tasks})
    first = SystemRandom().randrange(2**32) if seed is None else seed
    scene.start(SHOP, first, partial(send_messages, rate=rate, most=most))
    scene.start(REVIEWER.name, first + 1, review_items)
    for number, person in enumerate(ANNOTATORS, 2):
        scene.start(person.name, first + number, partial(answer_items, person=person))
    try:
        yield scene
    finally:
        scene.stop.set()
        for thread in scene.threads:
            thread.join()
    if scene.failure is not None:
        raise scene.failure
