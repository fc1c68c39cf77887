"""Check items in the queue: nothing that a person does with one shows that its answer is known."""

from __future__ import annotations

import pytest

from core.errors import ConflictError
from feedback.queue import Claimed, claim, heartbeat
from feedback.store import Store
from tasks.declaration import Task
from tests.support.queue import ask, expire_leases, make_task, person, say

ANN, BOB = person("ann"), person("bob")


def claim_check(store: Store, task: Task, check: str) -> Claimed:
    """Claim until the check item comes; what else came is held too."""
    for _ in range(100):
        for one in claim(store, task, ANN, 1):
            if one.item_id == check:
                return one
    raise AssertionError("the check item never came")


def a_check(store: Store, task: Task) -> str:
    (check,) = ask(store, task, "check", reason="check", check_value=1, suggestions=[])
    ask(store, task, *(f"text {number}" for number in range(200)))
    return check


def test_an_expired_check_item_can_be_held_again_as_others_can(store: Store) -> None:
    task = make_task("crowd", check_rate=0.5)
    check = claim_check(store, task, a_check(store, task))
    expire_leases(store)
    claim(store, task, BOB, 1)
    before = check.lease_expires_at
    assert heartbeat(store, {task.name: task}, ANN, check.item_id, check.lease_token) >= before
    assert check.item_id not in {one.item_id for one in claim(store, task, ANN, 20)}
    assert say(store, task, ANN, check, "parcel").counted


def test_a_check_item_that_came_twice_is_answered_by_either_token(store: Store) -> None:
    task = make_task("crowd", check_rate=0.5)
    check = a_check(store, task)
    first = claim_check(store, task, check)
    expire_leases(store)
    second = claim_check(store, task, check)
    assert first.lease_token != second.lease_token
    with pytest.raises(ConflictError):
        heartbeat(store, {task.name: task}, ANN, check, first.lease_token)
    assert say(store, task, ANN, first, "parcel").counted
    with pytest.raises(ConflictError):
        say(store, task, ANN, second, "parcel")


def test_who_asks_for_a_label_gets_check_items_of_that_label(store: Store) -> None:
    task = make_task("crowd", check_rate=0.5)
    parcels = set(ask(store, task, "check 1", "check 2", reason="check", check_value=1, suggestions=[]))
    others = set(ask(store, task, "check 3", reason="check", check_value=2, suggestions=[]))
    ask(store, task, *(f"text {number}" for number in range(60)))
    met = {one.item_id for _ in range(3) for one in claim(store, task, ANN, 20, label="parcel")}
    assert met >= parcels
    assert not met & others
