"""Many annotators at once, some of whom leave without a word, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import func, select, update

from feedback.schema import answers, items, slots, undoings
from feedback.store import Store, open_store
from tests.support.annotator import TASK, work
from tests.support.queue import ask, faults_of_counts

MEMORY = Path("/dev/shm")
LIMIT_S = 840


@pytest.fixture
def quick_url(store_url: str) -> Iterator[str]:
    """The URL of an empty database that need not survive a power cut: what is tested is who gets what."""
    if not store_url.startswith("sqlite") or not MEMORY.is_dir():
        yield store_url
        return
    with TemporaryDirectory(dir=MEMORY) as folder:
        yield f"sqlite:///{folder}/store.sqlite3"


def test_a_few_annotators_empty_a_queue(quick_url: str) -> None:
    _empty(quick_url, n_items=300, n_people=6, n_kills=2)


@pytest.mark.slow
@pytest.mark.timeout(900)  # half of it where nothing else runs
def test_32_annotators_empty_20000_items_of_three_slots(quick_url: str) -> None:
    _empty(quick_url, n_items=20_000, n_people=32, n_kills=25)


def _empty(url: str, *, n_items: int, n_people: int, n_kills: int) -> None:
    store, random = open_store(url), Random(11)
    for start in range(0, n_items, 1_000):
        ask(store, TASK, *(f"text {start + index}" for index in range(min(1_000, n_items - start))))
    with _people(url, n_people) as people:
        end = time.monotonic() + LIMIT_S
        while any(one.is_alive() for one in people.values()):
            assert time.monotonic() < end, "they are still at it"
            time.sleep(0.5)
            _expire_some(store, random.randrange(20))
            alive = [name for name, one in people.items() if one.is_alive()]
            if n_kills and alive:
                name = random.choice(alive)
                people[name].kill()
                people[name].join()
                people[name] = _begin(url, name, random.randrange(2**32))
                n_kills -= 1
        assert {one.exitcode for one in people.values()} == {0}
    assert n_kills == 0, "too quick: nobody was killed while they worked"
    _check(store, n_items)
    store.close()


@contextmanager
def _people(url: str, count: int) -> Iterator[dict[str, ForkServerProcess]]:
    people = {f"person {number}": _begin(url, f"person {number}", number) for number in range(count)}
    try:
        yield people
    finally:
        for one in people.values():
            one.kill()
            one.join()


def _begin(url: str, name: str, seed: int) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.annotator"])
    process = context.Process(target=work, args=(url, name, seed))
    process.start()
    return process


def _expire_some(store: Store, which: int) -> None:
    """Let one in twenty of the leases that are held expire now."""
    with store.write() as connection:
        past = store.now(connection) - timedelta(seconds=1)
        some = select(slots.c.id).where(slots.c.state == "leased", slots.c.id % 20 == which)
        ids = connection.scalars(some.with_for_update(skip_locked=True)).all()
        connection.execute(update(slots).where(slots.c.id.in_(ids)).values(lease_expires_at=past))


def _check(store: Store, n_items: int) -> None:
    live = select(answers).outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    live = live.where(undoings.c.answer_id.is_(None))
    said = live.subquery()
    with store.read() as connection:
        states = connection.execute(select(items.c.state, func.count()).group_by(items.c.state)).all()
        twice = select(said.c.item_id).group_by(said.c.item_id, said.c.annotator).having(func.count() > 1)
        slot_twice = (
            select(said.c.slot_id).where(said.c.counted == "true", said.c.kind == "label").group_by(said.c.slot_id)
        ).having(func.count() > 1)
        left = select(slots.c.id).where(slots.c.state.in_(("free", "leased")))
        full = select(slots.c.item_id).where(slots.c.state == "answered").group_by(slots.c.item_id)
        assert [tuple(row) for row in states] == [("resolved", n_items)]
        assert connection.execute(twice).all() == []
        assert connection.execute(slot_twice).all() == []
        assert connection.execute(left).all() == []
        counted = (
            select(said.c.item_id).where(said.c.kind == "label").group_by(said.c.item_id).having(func.count() >= 3)
        )
        assert len(connection.execute(counted).all()) == n_items
        answered_by = (
            select(slots.c.annotator, func.count()).where(slots.c.state == "answered").group_by(slots.c.annotator)
        )
        assert None not in dict(connection.execute(answered_by).all())
        assert len(connection.execute(full).all()) == n_items
    assert faults_of_counts(store) == []
