"""What reports of applications do, and that forwarding them twice does it once; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from core.errors import InvalidError, NotFoundError, OverloadedError
from core.ids import new_id
from feedback.item_view import find_item
from feedback.predictions import find_prediction
from feedback.recording import record
from feedback.reports import REPORT, WAITS_FOR, forward_reports, send_report
from feedback.revisions import note_revision
from feedback.schema import items, reports, texts
from feedback.spool import Spool
from feedback.store import Store
from tasks.declaration import Reports, Task
from tests.support.scene import SHOP, Scene, make_task


def a_task(review: dict[str, Any] | None = None, **rules: Any) -> Task:
    return make_task(**(review or {})).model_copy(update={"reports": Reports(**rules)})


def scene_of(store: Store, task: Task) -> Scene:
    """Return a scene whose task the store has heard of, as a service sees to at its start."""
    note_revision(store, task)
    return Scene(store, task)


def count(store: Store, table: Any) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_report_that_is_forwarded_twice_is_there_once(store: Store) -> None:
    scene = scene_of(store, make_task())
    said = scene.predict("where is it", ask=False)
    new = scene.new_report(said.id, comment="not that")
    forward = forward_reports(lambda: scene.tasks)
    for _ in range(2):
        with store.write() as connection:
            forward(store, connection, [orjson.dumps(new)])
    assert (count(store, reports), count(store, items), count(store, texts)) == (1, 1, 2)
    found = find_prediction(store, said.id)
    assert found is not None
    assert [(one["report_id"], one["correct"], one["label"]) for one in found["reports"]] == [(new.id, False, "refund")]


def test_a_report_waits_in_the_spool_for_a_prediction_in_that_of_another_host(store: Store, tmp_path: Path) -> None:
    scene, spool = scene_of(store, make_task()), Spool(tmp_path / "spool.sqlite3")
    elsewhere, handlers = scene.recording("where is it"), {REPORT: forward_reports(lambda: scene.tasks)}
    late, other = scene.new_report(elsewhere.id), scene.new_report(None, "another text")
    old = replace(scene.new_report(new_id()), created_at=datetime.now(UTC) - WAITS_FOR)
    spool.add(REPORT, {one.id: one for one in (late, old, other)})
    assert spool.forward(store, handlers) == 1, "the old one is given up"
    assert (spool.count(), count(store, reports)) == (1, 1)
    with store.write() as connection:
        record(store, connection, [elsewhere])
    assert spool.forward(store, handlers) == 0
    assert (spool.count(), count(store, reports)) == (0, 2)
    spool.close()


def test_only_confident_answers_become_items(store: Store) -> None:
    scene = scene_of(store, a_task(review_from=0.7))
    unsure, sure = (scene.predict(f"text {n}", ask=False, confidence=n) for n in (0.6, 0.8))
    assert send_report(store, scene.tasks, scene.new_report(unsure.id)) is None
    item_id = send_report(store, scene.tasks, scene.new_report(sure.id))
    assert item_id is not None
    item = find_item(store, item_id)
    assert item is not None
    assert (item["reason"], item["suggestions"][0]["label"]) == ("user_report", "parcel")
    assert [one["prediction_id"] for one in item["reports"]] == [sure.id]


def test_what_is_asked_about_already_is_linked(store: Store) -> None:
    scene = scene_of(store, make_task())
    said = scene.predict("doubtful")
    assert said.item is not None
    assert send_report(store, scene.tasks, scene.new_report(said.id)) == said.item.id
    scene.answer("ann", scene.claim("ann")["doubtful"], "parcel")
    assert send_report(store, scene.tasks, scene.new_report(said.id)) == said.item.id
    assert count(store, items) == 1


def test_a_report_that_cannot_be_is_refused_whole(store: Store) -> None:
    scene = scene_of(store, make_task())
    said = scene.predict("whose", ask=False)
    before = count(store, texts)
    foreign = {"role": "app", "person": SHOP.person, "key_id": SHOP.key_id}
    for wrong, error in (
        ({"label": "nope", "comment": "x"}, InvalidError),
        ({"label": None, "labels": ["refund"]}, InvalidError),
        (foreign, NotFoundError),
        ({"tasks": ["another"]}, NotFoundError),
    ):
        with pytest.raises(error):
            send_report(store, scene.tasks, scene.new_report(said.id, **wrong))
    with pytest.raises(NotFoundError):
        send_report(store, {}, scene.new_report(said.id))
    assert (count(store, reports), count(store, texts)) == (0, before)


def test_a_key_has_its_own_minute(store: Store) -> None:
    scene = scene_of(store, a_task(per_minute=2))
    for _ in range(2):
        send_report(store, scene.tasks, scene.new_report(None, "again"))
    with pytest.raises(OverloadedError) as slowed:
        send_report(store, scene.tasks, scene.new_report(None, "again"))
    assert 1 <= slowed.value.retry_after_s <= 60
    other = scene.new_report(None, "again", key_id=SHOP.key_id)
    assert send_report(store, scene.tasks, other) is not None
    assert count(store, items) == 1


@pytest.mark.parametrize(
    ("strategy", "as_answer", "voters"),
    [("crowd", True, ["app:root"]), ("crowd", False, []), ("expert", True, [])],
)
def test_reports_are_answers_only_where_the_task_says_so(
    store: Store, strategy: str, as_answer: bool, voters: list[str]
) -> None:
    review = {"strategy": strategy, "answers": 2, "most_answers": 3, "aggregation": "majority"}
    scene = scene_of(store, a_task(review, as_answer=as_answer))
    item_id = send_report(store, scene.tasks, scene.new_report(None, "who says", label="refund"))
    send_report(store, scene.tasks, scene.new_report(None, "who says", label="parcel"))
    assert item_id is not None
    item = find_item(store, item_id)
    assert item is not None
    assert [one["annotator"] for one in item["answers"]] == voters
    if voters:
        answered = scene.answer("ann", scene.claim("ann")["who says"], "refund")
        assert answered.resolution is not None
        assert answered.resolution.value == 2


def test_right_agrees_with_the_model(store: Store) -> None:
    review = {"strategy": "crowd", "answers": 2, "most_answers": 3, "aggregation": "majority"}
    scene = scene_of(store, a_task(review, as_answer=True))
    said = scene.predict("sure enough")
    assert said.item is not None
    item_id = send_report(store, scene.tasks, scene.new_report(said.id, label=None, correct=True))
    assert item_id == said.item.id
    item = find_item(store, item_id)
    assert item is not None
    assert [(one["annotator"], one["label"]) for one in item["answers"]] == [("app:root", "parcel")]
