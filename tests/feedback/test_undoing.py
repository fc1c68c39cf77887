"""Taking back answers that hold no slot: the item goes on without them."""

from __future__ import annotations

import pytest

from feedback.answers import undo
from feedback.queue import claim
from feedback.store import Store
from tests.support.queue import (
    ask,
    expire_leases,
    faults_of_counts,
    item_row,
    make_task,
    person,
    say,
    slot_states,
    take,
)

ANN, BOB, EVE = person("ann"), person("bob"), person("eve")


@pytest.mark.parametrize(("last", "state"), [("parcel", "resolved"), ("refund", "open")])
def test_an_item_goes_on_without_an_extra_answer_that_resolved_it(store: Store, last: str, state: str) -> None:
    task = make_task("crowd", answers=2, most_answers=3, aggregation="majority", certainty=0.6)
    (item,) = ask(store, task, "text")
    late = take(store, task, ANN)
    expire_leases(store)
    first, second = take(store, task, BOB), take(store, task, EVE)
    extra = say(store, task, ANN, late, "parcel")
    assert not extra.counted
    say(store, task, BOB, first, "parcel")
    say(store, task, EVE, second, last)
    assert item_row(store, item).state == "resolved"
    undo(store, {task.name: task}, ANN, item, extra.answer_id)
    assert item_row(store, item).state == state
    assert ("free" in slot_states(store, item)) == (state == "open")
    assert len(claim(store, task, ANN, 1)) == (state == "open")
    assert faults_of_counts(store) == []
