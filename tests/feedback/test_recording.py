"""Predictions in the store: written once whatever happens, counted exactly, found again, and forgotten in time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from core.errors import UnavailableError
from core.ids import new_id
from feedback.duties import find_duty, finish, take
from feedback.facts import Recording
from feedback.predictions import find_prediction, may_be_on_its_way, prune
from feedback.recording import PREDICTION, forward_predictions, record
from feedback.schema import items, predictions, reports, slots, texts, traffic
from feedback.spool import Spool
from feedback.store import Store
from tests.support.predicted import recording

HANDLERS = {PREDICTION: forward_predictions}


def write(store: Store, batch: Sequence[Recording], *, keep_ids: bool = False) -> dict[str, str]:
    with store.write() as connection:
        return record(store, connection, batch, keep_ids=keep_ids)


def count(store: Store, table: object) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def totals(store: Store) -> tuple[int, float, int]:
    with store.read() as connection:
        sums = (func.sum(traffic.c.predictions), func.sum(traffic.c.expected), func.sum(traffic.c.selected))
        row = connection.execute(select(*sums)).one()
    return int(row[0] or 0), float(row[1] or 0), int(row[2] or 0)


def test_what_was_predicted_is_found_again(store: Store) -> None:
    doubtful, sure = recording(reason="low_confidence"), recording("refund my money", label="refund")
    linked = write(store, [doubtful, sure])
    assert doubtful.item is not None
    assert linked == {doubtful.id: doubtful.item.id}
    found = find_prediction(store, doubtful.id)
    assert found is not None
    assert found["text"] == "where is my parcel"
    assert found["scores"][0] == {"label": "parcel", "score": 0.7}
    assert found["metadata"] == {"channel": "mail"}
    assert (found["task"], found["key_id"], found["model_version"]) == ("t", "k1", "v1")
    assert found["item"] == {
        "item_id": doubtful.item.id,
        "state": "open",
        "reason": "low_confidence",
        "resolution": None,
    }
    plain = find_prediction(store, sure.id)
    assert plain is not None
    assert plain["item"] is None
    assert find_prediction(store, new_id()) is None


def test_a_batch_that_is_written_again_changes_nothing(store: Store) -> None:
    batch = [recording(f"text {number}", "audit" if number % 3 else None) for number in range(10)]
    first = write(store, batch[:6])
    again = write(store, batch)
    assert {**first, **again}.keys() == {one.id for one in batch if one.item}
    assert [count(store, table) for table in (predictions, texts, items, slots)] == [10, 10, 6, 6]
    assert totals(store) == (10, 4 * 0.125 + 6, 6)


def test_traffic_is_counted_by_label_and_hour_and_only_automatic_reasons_count_as_selected(store: Store) -> None:
    hour = datetime(2026, 5, 1, 9, tzinfo=UTC)
    moments = [hour, hour + timedelta(minutes=59, seconds=59), hour + timedelta(hours=1)]
    write(store, [recording(f"a {at}", at=at) for at in moments])
    write(store, [recording("b", "user_report", at=hour, label="refund"), recording("c", "drift", at=hour)])
    with store.read() as connection:
        rows = connection.execute(select(traffic).order_by(traffic.c.stratum, traffic.c.hour)).all()
    assert [(row.stratum, row.hour, row.predictions, row.expected, row.selected) for row in rows] == [
        ("parcel", hour, 3, 1.25, 1),
        ("parcel", hour + timedelta(hours=1), 1, 0.125, 0),
        ("refund", hour, 1, 1.0, 0),
    ]


def test_exact_copies_share_the_open_item_and_each_is_linked(store: Store) -> None:
    first, copy = recording("Where is it?", "low_confidence"), recording("where  is IT?", "audit")
    assert first.item is not None
    assert write(store, [first]) == {first.id: first.item.id}
    assert write(store, [copy]) == {copy.id: first.item.id}
    found = find_prediction(store, copy.id)
    assert found is not None
    assert found["item"]["item_id"] == first.item.id
    assert count(store, slots) == 1


def test_writers_of_the_same_hour_do_not_stop_each_other(store: Store) -> None:
    batches = [[recording(f"{writer} {number}", "audit") for number in range(40)] for writer in range(4)]
    failed: list[UnavailableError] = []

    def work(mine: list[Recording]) -> None:
        try:
            for start in range(0, len(mine), 8):
                write(store, mine[start : start + 8])
        except UnavailableError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert totals(store) == (160, 160.0, 160)
    assert count(store, items) == 160


def test_two_who_write_the_same_at_once_count_it_once(store: Store) -> None:
    """The one that waited for the other gives up instead of counting again; forwarding tries it later."""
    batch = [recording(f"text {number}") for number in range(5)]
    late: list[UnavailableError | None] = []

    def write_late() -> None:
        try:
            write(store, batch)
            late.append(None)
        except UnavailableError as error:
            late.append(error)

    with store.write() as connection:
        record(store, connection, batch)
        thread = threading.Thread(target=write_late)
        thread.start()
        thread.join(0.5)
    thread.join()
    assert len(late) == 1
    assert totals(store)[0] == 5
    write(store, batch)
    assert totals(store)[0] == 5


def test_the_spool_forwards_once_and_item_ids_stay_valid(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    assert (spool.count(), spool.forward(store, HANDLERS)) == (0, 0)
    known = recording("known before", "audit")
    write(store, [known])
    waiting = [recording("known before", "low_confidence"), recording("new", "audit"), recording("sure")]
    spool.add(PREDICTION, {one.id: one for one in waiting})
    spool.add(PREDICTION, {one.id: one for one in waiting[:1]})
    assert spool.count() == 3
    assert spool.forward(store, HANDLERS) == 0
    assert spool.count() == 0
    assert totals(store)[0] == 4
    with store.read() as connection:
        rows = connection.execute(select(items.c.id, items.c.state, items.c.same_as)).all()
    copied, fresh = waiting[0].item, waiting[1].item
    assert known.item is not None
    assert copied is not None
    assert fresh is not None
    assert {tuple(row) for row in rows} == {
        (known.item.id, "open", None),
        (copied.id, "merged", known.item.id),
        (fresh.id, "open", None),
    }
    found = find_prediction(store, waiting[0].id)
    assert found is not None
    assert found["item"]["item_id"] == known.item.id


def test_forwarding_again_after_being_killed_between_the_two_commits_changes_nothing(
    store: Store, tmp_path: Path
) -> None:
    waiting = [recording(f"text {number}", "audit") for number in range(3)]
    spool = Spool(tmp_path / "spool.sqlite3")
    spool.add(PREDICTION, {one.id: one for one in waiting})
    write(store, waiting, keep_ids=True)
    assert spool.forward(store, HANDLERS) == 0
    assert (spool.count(), totals(store)[0], count(store, items)) == (0, 3, 3)


def test_a_fact_that_the_store_refuses_does_not_hold_up_the_others(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    good = [recording(f"text {number}") for number in range(3)]
    spool.add(PREDICTION, {good[0].id: good[0], "bad": {"id": "bad"}, good[1].id: good[1]})
    spool.add(PREDICTION, {good[2].id: good[2]})
    assert spool.forward(store, HANDLERS) == 1
    assert (spool.count(), count(store, predictions)) == (0, 3)
    assert spool.forward(store, HANDLERS) == 0


def test_while_the_store_is_away_everything_waits(tmp_path: Path) -> None:
    store = Store("postgresql://nobody@127.0.0.1:9/nothing")
    spool = Spool(tmp_path / "spool.sqlite3")
    one = recording()
    spool.add(PREDICTION, {one.id: one})
    with pytest.raises(UnavailableError):
        spool.forward(store, HANDLERS)
    assert spool.count() == 1


def test_what_is_dropped_from_the_spool_leaves_no_byte(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    secret = recording("the moon is made of cheese")
    spool.add(PREDICTION, {one.id: one for one in (secret, recording("other"))})
    assert spool.drop(lambda kind, fact: kind == PREDICTION and fact["text"]["sha256"] == secret.text.sha256) == 1
    assert spool.count() == 1
    for file in tmp_path.iterdir():
        assert b"made of cheese" not in file.read_bytes(), file.name


def test_old_predictions_go_unless_somebody_asked_or_said_something(store: Store) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    forgotten = [recording(f"text {number}", at=old + timedelta(seconds=number)) for number in range(1_100)]
    asked = recording("asked", "audit", at=old)
    told = recording("told", at=old)
    young = recording("young", at=datetime.now(UTC) - timedelta(days=29))
    write(store, [*forgotten, asked, told, young])
    with store.write() as connection:
        report = {"id": new_id(), "task": "t", "prediction_id": told.id, "correct": True, "created_at": old}
        connection.execute(insert(reports).values(report))
    assert prune(store, 30) == 1_100
    assert count(store, predictions) == count(store, texts) == 3
    assert totals(store)[0] == 1_103
    assert prune(store, 30) == 0
    found = find_prediction(store, told.id)
    assert found is not None
    assert [report["correct"] for report in found["reports"]] == [True]


def test_a_young_id_that_is_not_there_may_still_come() -> None:
    assert may_be_on_its_way(new_id())
    assert not may_be_on_its_way(recording(at=datetime.now(UTC) - timedelta(minutes=1)).id)
    assert not may_be_on_its_way("nonsense")


def test_a_duty_is_held_by_one_at_a_time(store: Store) -> None:
    assert find_duty(store, "prune")[0] is None
    assert take(store, "prune", "a", 60)
    assert not take(store, "prune", "b", 60)
    assert take(store, "prune", "a", 60)
    finish(store, "prune", "b")
    assert not take(store, "prune", "b", 60)
    finish(store, "prune", "a")
    duty, now = find_duty(store, "prune")
    assert duty is not None
    assert duty.done_at is not None
    assert duty.until <= now
    assert take(store, "prune", "b", -1)
    assert take(store, "prune", "c", 60)


def test_of_many_who_want_a_duty_one_gets_it(store: Store) -> None:
    got: list[bool] = []
    threads = [
        threading.Thread(target=lambda name: got.append(take(store, "x", name, 60)), args=(f"p{number}",))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_a_changed_fact_of_the_same_id_is_not_written_over_the_first(store: Store) -> None:
    one = recording()
    write(store, [one])
    write(store, [replace(one, label="refund")])
    found = find_prediction(store, one.id)
    assert found is not None
    assert found["label"] == "parcel"
