"""Claiming items that are alike to one, to answer them together."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotFoundError
from core.roles import Caller
from feedback.queue import claim
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, make_task, person, say, take

ANN, BOB, BOSS = person("ann"), person("bob"), person("boss", "reviewer")
ALIKE = [f"where is my parcel number {number}" for number in range(6)]
OTHERS = ["i forgot the password", "money back", "hello there"]


def alike_to(store: Store, task: Task, who: Caller, like: str, count: int = 50) -> list[str]:
    return [one.text for one in claim(store, task, who, count, like=like)]


def test_only_what_is_alike_comes_and_nobody_gets_the_same(store: Store) -> None:
    task = make_task()
    first, *_ = ask(store, task, ALIKE[0], *OTHERS, *ALIKE[1:])
    assert take(store, task, ANN).item_id == first
    got = alike_to(store, task, ANN, first, 3)
    assert len(got) == 3
    assert set(got) < set(ALIKE[1:])
    rest = alike_to(store, task, BOSS, first)
    assert sorted(got + rest) == ALIKE[1:]
    assert alike_to(store, task, BOSS, first) == []
    assert sorted(one.text for one in claim(store, task, BOB, 50)) == sorted(OTHERS)


def test_the_first_suggestion_does_not_matter(store: Store) -> None:
    task = make_task()
    (first,) = ask(store, task, ALIKE[0])
    ask(store, task, ALIKE[1], suggestions=(("password", 0.4),))
    ask(store, task, ALIKE[2], suggestions=())
    take(store, task, ANN)
    assert sorted(alike_to(store, task, ANN, first)) == ALIKE[1:3]
    for one in claim(store, task, ANN, 50, like=first, label="password"):
        assert one.text == ALIKE[1]


def test_near_copies_are_found_far_back_in_the_queue(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.alike_items._AHEAD", 2)
    task = make_task()
    (first,) = ask(store, task, ALIKE[0], cluster="same")
    ask(store, task, *OTHERS)
    ask(store, task, ALIKE[1])
    ask(store, task, ALIKE[2], cluster="same")
    take(store, task, ANN)
    assert alike_to(store, task, ANN, first) == [ALIKE[2]]


def test_what_somebody_has_met_does_not_come_again(store: Store) -> None:
    task = make_task("crowd", answers=2)
    first, second, third = ask(store, task, *ALIKE[:3])
    held = {one.item_id: one for one in claim(store, task, ANN, 50)}
    say(store, task, ANN, held[second], "parcel")
    assert alike_to(store, task, ANN, first) == []
    assert sorted(alike_to(store, task, BOSS, first)) == ALIKE[1:3]
    assert third in held


def test_only_what_somebody_was_given_can_be_asked_for(store: Store) -> None:
    task, other = make_task(), make_task(name="other")
    first, _ = ask(store, task, *ALIKE[:2])
    with pytest.raises(NotFoundError):
        claim(store, task, ANN, 1, like=first)
    with pytest.raises(NotFoundError):
        claim(store, other, BOSS, 1, like=first)
    with pytest.raises(NotFoundError):
        claim(store, task, BOSS, 1, like="01a20228-359f-742d-8374-7d609c74e8d6")
    assert alike_to(store, task, BOSS, first) == [ALIKE[1]]


def test_check_items_come_only_where_they_are_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.queue._CHANCE.random", lambda: 0.0)
    task = make_task(check_rate=0.5)
    first, *_ = ask(store, task, *ALIKE[:4])
    checks: dict[str, Any] = {"reason": "check", "check_value": 1, "suggestions": []}
    ask(store, task, "entirely different words", **checks)
    (near,) = ask(store, task, "where is my parcel number 9", **checks)
    held = claim(store, make_task(), ANN, 1)
    assert held[0].item_id == first
    got = claim(store, task, ANN, 2, like=first)
    assert near in {one.item_id for one in got}
    assert len(got) == 2
    assert claim(store, task, BOSS, 2, like=near) != []
