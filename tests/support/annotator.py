"""An annotator as a process of its own, who answers until nothing is left."""

from __future__ import annotations

import time
from random import Random

from sqlalchemy import select

from core.roles import Caller
from feedback.answers import Said, answer
from feedback.queue import claim
from feedback.schema import items
from feedback.store import Store
from tests.support.queue import make_task

TASK = make_task("crowd", answers=3, most_answers=3, aggregation="majority", lease_seconds=10)
"""Three answers an item; a lease is held for ten seconds, so that those of killed people come back."""

ABANDONED = 0.02
"""Share of claims that are never answered: the annotator has gone for lunch."""
SKIPPED = 0.01


def work(url: str, name: str, seed: int) -> None:
    """Claim fifty items at a time and answer them, until no item is open."""
    store, random, who = Store(url), Random(seed), Caller(name, "annotator")
    while _is_open(store):
        claimed = claim(store, TASK, who, 50)
        if not claimed:
            time.sleep(random.uniform(0.3, 0.9))
        if random.random() < ABANDONED:
            continue
        for one in claimed:
            said = Said("skip") if random.random() < SKIPPED else Said("label", "parcel")
            answer(store, {TASK.name: TASK}, who, one.item_id, one.lease_token, said)


def _is_open(store: Store) -> bool:
    with store.read() as connection:
        left = select(items.c.id).where(items.c.task == TASK.name, items.c.state == "open").limit(1)
        return connection.execute(left).first() is not None
