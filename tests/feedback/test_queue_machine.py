"""Whatever people do with a queue, in whatever order: what must always hold."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import create_engine, func, select, text

from core.errors import ConflictError
from core.roles import Caller
from feedback.adjudication import decide, send_back
from feedback.answers import Said, answer, undo
from feedback.queue import claim, heartbeat, release
from feedback.schema import answers, encounters, items, slots, undoings
from feedback.store import Store, open_store
from tests.support.queue import LABELS, ask, expire_leases, faults_of_counts, make_task, person

PEOPLE = [
    person("ann"),
    person("ben"),
    person("cat"),
    person("dan"),
    person("boss", "reviewer"),
    person("admin", "admin"),
]
TASK = make_task("crowd", answers=2, most_answers=3, aggregation="majority", check_rate=0.2)
TASKS = {TASK.name: TASK}
LIMITS = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class _Queue(RuleBasedStateMachine):
    """A queue that is claimed from, answered, skipped, flagged, released, expired and undone at random."""

    held = Bundle("held")
    said = Bundle("said")

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.exits.enter_context(patch("feedback.queue._CHANCE", Random(7)))
        self.store = self.open()
        self.number = 0

    def open(self) -> Store:
        raise NotImplementedError

    def teardown(self) -> None:
        self.finish()
        self.exits.close()

    @initialize()
    def begin(self) -> None:
        self.arrive(3)
        ask(self.store, TASK, "check", reason="check", check_value=1, suggestions=[])

    @rule(count=st.integers(1, 3))
    def arrive(self, count: int) -> None:
        ask(self.store, TASK, *(f"text {self.number + index}" for index in range(count)))
        self.number += count

    @rule(target=held, who=st.sampled_from(PEOPLE), count=st.integers(1, 3))
    def claim(self, who: Caller, count: int) -> Any:
        return multiple(*((who, one.item_id, one.lease_token) for one in claim(self.store, TASK, who, count)))

    @rule(target=said, lease=consumes(held), label=st.sampled_from(LABELS))
    def answer(self, lease: tuple[Caller, str, str], label: str) -> Any:
        return self._say(lease, Said("label", label))

    @rule(target=said, lease=consumes(held))
    def skip(self, lease: tuple[Caller, str, str]) -> Any:
        return self._say(lease, Said("skip"))

    @rule(target=said, lease=consumes(held))
    def flag(self, lease: tuple[Caller, str, str]) -> Any:
        return self._say(lease, Said("flag", "odd"))

    @rule(lease=consumes(held))
    def release(self, lease: tuple[Caller, str, str]) -> None:
        try:
            release(self.store, TASKS, *lease)
        except ConflictError as error:  # another lease of the same person was answered
            assert "ended" in str(error)  # noqa: PT017

    @rule(lease=held)
    def heartbeat(self, lease: tuple[Caller, str, str]) -> None:
        try:
            heartbeat(self.store, TASKS, *lease)
        except ConflictError as error:
            assert "lost" in str(error)  # noqa: PT017 - it may be lost or not

    @rule()
    def expire(self) -> None:
        expire_leases(self.store)

    @rule(target=held, answered=consumes(said))
    def undo(self, answered: tuple[Caller, str, str]) -> Any:
        try:
            undone = undo(self.store, TASKS, *answered)
        except ConflictError as error:  # it was sent back, or decided in a new round
            assert "asked again" in str(error)  # noqa: PT017
            return multiple()
        return (answered[0], undone.item_id, undone.lease_token)

    @rule(target=said, lease=held, who=st.sampled_from(PEOPLE[-2:]), reopen=st.booleans())
    def decide(self, lease: tuple[Caller, str, str], who: Caller, reopen: bool) -> Any:
        item_id = lease[1]
        try:
            decided = decide(self.store, TASKS, who, item_id, Said("label", "refund"), reopen=reopen)
        except ConflictError as error:
            assert "reopen" in str(error) or "check item" in str(error)  # noqa: PT017
            return multiple()
        assert decided.resolution is not None
        return (who, item_id, decided.answer_id)

    @rule(lease=held, who=st.sampled_from(PEOPLE[-2:]), wanted=st.integers(1, 3), reopen=st.booleans())
    def send_back(self, lease: tuple[Caller, str, str], who: Caller, wanted: int, reopen: bool) -> None:
        try:
            send_back(self.store, TASKS, who, lease[1], wanted, reopen=reopen)
        except ConflictError as error:
            assert "reopen" in str(error) or "check item" in str(error) or "already" in str(error)  # noqa: PT017

    def _say(self, lease: tuple[Caller, str, str], said: Said) -> Any:
        who, item_id, token = lease
        try:
            answered = answer(self.store, TASKS, who, item_id, token, said)
        except ConflictError as error:  # another lease of the same person was answered
            assert "answered" in str(error) or "ended" in str(error)  # noqa: PT017
            return multiple()
        return (who, item_id, answered.answer_id)

    @invariant()
    def nobody_twice_on_an_item(self) -> None:
        live = select(answers.c.item_id, answers.c.round, answers.c.annotator, func.count())
        live = live.outerjoin(undoings, undoings.c.answer_id == answers.c.id).where(undoings.c.answer_id.is_(None))
        live = live.group_by(answers.c.item_id, answers.c.round, answers.c.annotator)
        with self.store.read() as connection:
            rows = connection.execute(live).all()
            met = {tuple(row) for row in connection.execute(select(encounters))}
        assert all(n == 1 for *_, n in rows)
        assert {(item, turn, who) for item, turn, who, _ in rows} == met

    @invariant()
    def slots_are_held_by_one_and_answered_once(self) -> None:
        with self.store.read() as connection:
            rows = connection.execute(select(slots)).all()
        for row in rows:
            holds = (row.annotator is not None, row.lease_token is not None, row.answer_id is not None)
            expected = {"free": (False,) * 2, "leased": (True, True), "answered": (True, False), "closed": (False,) * 2}
            assert holds[:2] == expected[row.state]
            assert row.state != "answered" or holds[2]
        used = Counter(row.answer_id for row in rows if row.state == "answered")
        assert all(n == 1 for n in used.values())

    @invariant()
    def nobody_holds_what_they_have_met(self) -> None:
        same = (encounters.c.item_id == slots.c.item_id) & (encounters.c.annotator == slots.c.annotator)
        held = select(slots.c.id).join(encounters, same & (encounters.c.round == slots.c.round))
        with self.store.read() as connection:
            assert connection.execute(held.where(slots.c.state == "leased")).all() == []

    @invariant()
    def only_open_items_ask(self) -> None:
        asking = select(items.c.state, items.c.round, slots.c.round, slots.c.stage).join(
            slots, slots.c.item_id == items.c.id
        )
        with self.store.read() as connection:
            rows = connection.execute(asking.where(slots.c.state.in_(("free", "leased")))).all()
        assert all((state == "open" or stage == "check") and now == turn for state, now, turn, stage in rows)

    @invariant()
    def open_items_ask_and_resolved_ones_say_what(self) -> None:
        pending = select(slots.c.id).where(slots.c.item_id == items.c.id, slots.c.state.in_(("free", "leased")))
        silent = select(items.c.id).where(items.c.state == "open", ~pending.exists())
        mute = select(items.c.id).where((items.c.state == "resolved") != items.c.resolution_id.is_not(None))
        with self.store.read() as connection:
            assert connection.execute(silent).all() == []
            assert connection.execute(mute).all() == []

    @invariant()
    def counts_are_right(self) -> None:
        assert faults_of_counts(self.store) == []

    def finish(self) -> None:
        """Let enough people work until nothing is left: every item is resolved, whatever happened before."""
        expire_leases(self.store)
        for number in range(12):
            who = person(f"late {number}", "reviewer")
            for _ in range(50):
                claimed = claim(self.store, TASK, who, 50)
                for one in claimed:
                    answer(self.store, TASKS, who, one.item_id, one.lease_token, Said("label", "parcel"))
                if not claimed:
                    break
        with self.store.read() as connection:
            assert connection.execute(select(items.c.id).where(items.c.state == "open")).all() == []


class OnSqlite(_Queue):
    """The queue in a file."""

    def open(self) -> Store:
        folder = self.exits.enter_context(tempfile.TemporaryDirectory())
        store = open_store(f"sqlite:///{Path(folder) / 'store.sqlite3'}")
        self.exits.callback(store.close)
        return store


class OnPostgres(_Queue):
    """The queue in a schema of a real server."""

    url = ""
    schemas = 0

    def open(self) -> Store:
        type(self).schemas += 1
        schema = f"machine{self.schemas}"
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        engine.dispose()
        store = open_store(f"{self.url}?options=-csearch_path%3D{schema}")
        self.exits.callback(store.close)
        return store


def test_a_queue_on_sqlite_holds_whatever_people_do() -> None:
    _run(OnSqlite)


def test_a_queue_on_postgresql_holds_whatever_people_do(postgres_url: str) -> None:
    OnPostgres.url = postgres_url
    _run(OnPostgres)


def _run(machine: type[_Queue]) -> None:

    run_state_machine_as_test(machine, settings=LIMITS)
