"""What people said that measures models, from real answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select

from core.demo import DEMO_LANGUAGE
from core.ids import new_id
from feedback.facts import OUTSIDE, Reason
from feedback.measuring import count_gold_uses, read_audits, read_reviewed, snapshot_number
from feedback.new_items import new_item
from feedback.recording import record
from feedback.revisions import note_revision
from feedback.schema import resolutions, runs, snapshot_items, snapshots
from feedback.store import Store
from tasks.declaration import Label
from tests.support.scene import Scene, make_task


def ask(scene: Scene, text: str, reason: Reason, inclusion: float = 0.02, language: str | None = "en") -> str:
    """Record a prediction that triage asks about; return its id."""
    made = scene.recording(text, ask=False, inclusion=inclusion, language=language)
    item = new_item(scene.task, made.text, reason, 0.5, suggestions=made.scores, language=language)
    with scene.store.write() as connection:
        record(scene.store, connection, [replace(made, item=item)])
    return made.id


def settle(scene: Scene, **said: str) -> None:
    """Answer each text by its first word."""
    held = scene.claim("ann")
    for text, claimed in held.items():
        value = said[text.split()[0]]
        if value == OUTSIDE:
            scene.answer("ann", claimed, kind="out_of_scope")
        else:
            scene.answer("ann", claimed, value)


@pytest.fixture
def scene(store: Store) -> Scene:
    task = make_task()
    note_revision(store, task)
    return Scene(store, task)


def test_audits_are_what_triage_drew_for_no_other_reason(scene: Scene) -> None:
    sure = ask(scene, "where is it", "audit", 0.02)
    strange = ask(scene, "weather is fine", "audit", 0.1)
    ask(scene, "money back", "low_confidence", 1.0)
    ask(scene, "parcel again", "drift", 0.1)
    ask(scene, "played part", "audit", language=DEMO_LANGUAGE)
    ask(scene, "where nobody has looked", "audit")
    scene.bring("money came")
    settle(scene, where="refund", weather=OUTSIDE, money="refund", parcel="parcel", played="parcel")
    ask(scene, "later than all answers", "audit")
    found = {one.prediction_id: one for one in read_audits(scene.store, scene.task)}
    assert (found[sure].text, found[sure].value, found[sure].inclusion) == ("where is it", 2, 0.02)
    assert (found[strange].value, found[strange].inclusion) == (OUTSIDE, 0.1)
    assert {one.text for one in found.values()} == {"where is it", "weather is fine", "where nobody has looked"}


def test_audits_speak_in_todays_labels(scene: Scene) -> None:
    ask(scene, "parcel lost", "audit")
    ask(scene, "money back", "audit")
    settle(scene, parcel="parcel", money="refund")
    labels = [Label(id=1, name="package"), Label(id=4, name="cash"), Label(id=5, name="voucher")]
    today = scene.task.model_copy(update={"revision": 2, "labels": labels})
    note_revision(scene.store, today)
    assert [(one.text, one.value) for one in read_audits(scene.store, today)] == [("parcel lost", 1)]


def test_resolutions_are_told_by_what_they_say_and_where_they_were_used(scene: Scene) -> None:
    ask(scene, "parcel lost", "low_confidence")
    ask(scene, "money back", "drift")
    scene.bring("password gone")
    settle(scene, parcel="parcel", money="refund", password="password")
    with scene.store.read() as connection:
        ids = list(connection.execute(select(resolutions.c.id).order_by(resolutions.c.id)).scalars())
    with scene.store.write() as connection:
        used = {"resolution_id": ids[0], "task": scene.task.name, "item_id": new_id(), "number": 3}
        connection.execute(insert(snapshot_items).values(used))
    found = read_reviewed(scene.store, [*ids, new_id()])
    told = {(one.confirms, one.reason) for one in found.values()}
    assert told == {(True, "low_confidence"), (False, "drift"), (None, "imported")}
    assert [found[one].number for one in ids] == [3, None, None]
    assert read_reviewed(scene.store, []) == {}


def test_many_resolutions_can_be_asked_for(scene: Scene) -> None:
    assert read_reviewed(scene.store, [new_id() for _ in range(1200)]) == {}


def test_what_is_no_snapshot_comes_before_every_one(scene: Scene) -> None:
    made = {
        "task": scene.task.name,
        "revision": 1,
        "rows": 9,
        "reviewed": 1,
        "aside": {},
        "erased": 0,
        "created_at": datetime.now(UTC),
    }
    with scene.store.write() as connection:
        connection.execute(insert(snapshots).values(sha256="a" * 64, number=2, **made))
    assert snapshot_number(scene.store, scene.task.name, "a" * 64) == 2
    assert snapshot_number(scene.store, "other", "a" * 64) == 0
    assert snapshot_number(scene.store, scene.task.name, "b" * 64) == 0


def test_uses_of_a_gold_set_are_counted_by_its_hash(scene: Scene) -> None:
    now, name = datetime.now(UTC), scene.task.name
    rows: list[dict[str, Any]] = [
        {"task": name, "gate": {"decision": "pass", "gold": {"sha256": "a"}}},
        {"task": name, "gate": {"decision": "fail", "gold": {"sha256": "a"}}},
        {"task": name, "gate": {"decision": "pass", "gold": {"sha256": "b"}}},
        {"task": name, "gate": {"decision": "pass"}},
        {"task": name, "gate": None},
        {"task": "other", "gate": {"decision": "pass", "gold": {"sha256": "a"}}},
    ]
    common: dict[str, Any] = {
        "mode": "fast",
        "trigger": "command",
        "asked_by": "ann",
        "state": "done",
        "status": "promoted",
    }
    common |= {"progress": 1.0, "attempts": 1, "message": "", "created_at": now, "updated_at": now, "promote": True}
    with scene.store.write() as connection:
        for row in rows:
            connection.execute(insert(runs).values(id=new_id(), **common, **row))
    assert count_gold_uses(scene.store, name, "a") == 2
    assert count_gold_uses(scene.store, name, "c") == 0
