"""The queue in another order, once another model is live, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from feedback.queue import claim
from feedback.reordering import read_waiting, reorder
from feedback.store import Store
from tests.support.queue import ask, item_row, make_task, person, reply, say, slot_states, take

ANN, BEN = person("ann"), person("ben")
TASK, CROWD = make_task(), make_task("crowd")
NOW = datetime.now(UTC)


def judge(store: Store, urgencies: dict[str, float], task: str = TASK.name) -> None:
    """Give what waits other urgencies, by text; what is not named gets none."""
    waiting = read_waiting(store, task, 100)
    reorder(store, waiting, {one.item_id: urgencies.get(one.text, 0.0) for one in waiting})


def offered(store: Store) -> list[str]:
    return [one.text for one in claim(store, TASK, person("eve"), 50)]


def test_people_are_asked_first_what_the_new_model_doubts_most(store: Store) -> None:
    ask(store, TASK, "was doubted", urgency=0.9, created_at=NOW)
    ask(store, TASK, "was strange", urgency=0.8, created_at=NOW, reason="out_of_scope")
    ask(store, TASK, "was sure", urgency=0.6, created_at=NOW)
    judge(store, {"was doubted": 0.3, "was strange": 0.7, "was sure": 1.0})
    assert offered(store) == ["was sure", "was strange", "was doubted"]


def test_what_no_model_placed_keeps_its_place(store: Store) -> None:
    for number, reason in enumerate(("audit", "imported", "user_report", "disagreement")):
        ask(store, TASK, reason, urgency=0.9 - number / 10, created_at=NOW, reason=reason)
    ask(store, TASK, "doubted", urgency=0.1, created_at=NOW)
    assert [one.text for one in read_waiting(store, TASK.name, 100)] == ["doubted"]
    judge(store, {"doubted": 0.75})
    assert offered(store) == ["audit", "imported", "doubted", "user_report", "disagreement"]


def test_an_old_item_still_rises_past_new_ones(store: Store) -> None:
    ask(store, TASK, "new", urgency=0.5, created_at=NOW)
    ask(store, TASK, "old", urgency=0.5, created_at=NOW - timedelta(days=4))
    judge(store, {"new": 1.0, "old": 0.5})
    assert offered(store) == ["old", "new"]


def test_near_copies_stay_apart(store: Store) -> None:
    copies = [f"copy {number}" for number in range(5)]
    ask(store, TASK, *copies, urgency=0.9, created_at=NOW, cluster="alike")
    ask(store, TASK, "other", urgency=0.1, created_at=NOW)
    judge(store, {text: 0.9 + number / 50 for number, text in enumerate(copies)} | {"other": 0.89})
    assert offered(store) == ["copy 4", "copy 3", "copy 2", "other", "copy 1", "copy 0"]


def test_leases_go_on_and_what_is_resolved_meanwhile_stays(store: Store) -> None:
    first, _ = ask(store, TASK, "first", "second", urgency=0.9, created_at=NOW)
    held = take(store, TASK, ANN)
    waiting = read_waiting(store, TASK.name, 100)
    reply(store, TASK, BEN, "refund")
    resolved = next(one.item_id for one in waiting if one.item_id != held.item_id)
    before = item_row(store, resolved).rank
    reorder(store, waiting, dict.fromkeys([one.item_id for one in waiting], 0.2))
    assert item_row(store, resolved).rank == before
    assert say(store, TASK, ANN, held, "parcel").resolution is not None
    assert item_row(store, first).state == "resolved"


def test_all_slots_of_a_crowd_move(store: Store) -> None:
    (item,) = ask(store, CROWD, "for three", urgency=0.9, created_at=NOW)
    ask(store, CROWD, "also for three", urgency=0.5, created_at=NOW)
    reply(store, CROWD, ANN, "parcel")
    judge(store, {"also for three": 1.0, "for three": 0.4}, CROWD.name)
    assert slot_states(store, item) == ["answered", "free", "free"]
    assert take(store, CROWD, BEN).text == "also for three"


def test_what_would_hardly_move_is_not_written(store: Store) -> None:
    near, far = ask(store, TASK, "near", "far", urgency=0.5, created_at=NOW)
    before = item_row(store, near).rank
    judge(store, {"near": 0.501, "far": 0.6})
    assert item_row(store, near).rank == before
    assert item_row(store, far).rank < before


def test_only_the_front_of_a_long_queue_is_read(store: Store) -> None:
    for number in range(5):
        ask(store, TASK, f"text {number}", urgency=number / 10, created_at=NOW)
    assert [one.text for one in read_waiting(store, TASK.name, 2)] == ["text 4", "text 3"]
