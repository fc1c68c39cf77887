"""Snapshots in the store: their numbers, what they use, and what becomes of what they leave aside."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.errors import ConflictError, NotFoundError
from core.roles import Caller
from feedback.adjudication import send_back
from feedback.answers import Answered, undo
from feedback.audit import list_entries
from feedback.erasure import Wanted, erase
from feedback.quarantines import Suspicion, list_quarantines, read_sources, release
from feedback.reviewed_items import ReviewedItem, read_reviews
from feedback.revisions import note_revision
from feedback.schema import erasures, items, outbox, runs, texts
from feedback.snapshot_erasures import Tombstone, list_unsettled, settle
from feedback.snapshots import (
    MOST_UNLIKELY,
    Draft,
    Recorded,
    find_snapshot,
    first_use,
    list_snapshots,
    record_snapshot,
)
from feedback.spool import Spool
from feedback.store import Store
from tests.support.queue import faults_of_counts
from tests.support.rows import row
from tests.support.scene import ROOT, Scene, make_task

LATE, LOST, OTHER = "my parcel is late", "the parcel is lost", "where is my refund"


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store, make_task())


def review(scene: Scene, *labelled: tuple[str, str], who: str = "ann") -> dict[str, Answered]:
    """Bring texts, and let one person say what they are; return the answers by text."""
    scene.bring(*(text for text, _ in labelled))
    held = scene.claim(who)
    return {text: scene.answer(who, held[text], label) for text, label in labelled}


def reviewed(scene: Scene) -> dict[str, ReviewedItem]:
    return {item.text: item for item in read_reviews(scene.store, scene.task).items}


def draft(scene: Scene, sha256: str = "a", uses: Sequence[ReviewedItem] = (), **more: Any) -> Draft:
    used = {item.item_id: item.resolution_id for item in uses}
    erasure = read_reviews(scene.store, scene.task).erasure
    values: dict[str, Any] = {"rows": 10 + len(used), "aside": {}, "uses": used, "erasure": erasure}
    return Draft(scene.task, sha256 * 64, **(values | more))


def recorded(scene: Scene, *more: Any, **values: Any) -> Recorded:
    found = record_snapshot(scene.store, draft(scene, *more, **values))
    assert found is not None
    return found


def item_of(store: Store, item_id: str) -> Any:
    with store.read() as connection:
        return connection.execute(select(items).where(items.c.id == item_id)).one()


def alerts(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        return list(connection.scalars(select(outbox.c.payload).where(outbox.c.event == "alert.raised")))


def test_what_people_resolved_comes_with_its_lineage(scene: Scene) -> None:
    predicted = scene.predict(LATE, "wilma", version="v7")
    held = scene.claim("ann")
    answered = scene.answer("ann", held[LATE], "refund")
    (item,) = reviewed(scene).values()
    assert (item.text, item.subject, item.value, item.posterior) == (LATE, "wilma", 2, ((2, 1.0),))
    assert (item.prediction_id, item.model_version, item.used_in) == (predicted.id, "v7", None)
    assert [(word.answer_id, word.annotator, word.value) for word in item.words] == [(answered.answer_id, "ann", 2)]


def test_audits_check_items_demo_data_and_open_items_do_not_train(scene: Scene) -> None:
    scene.bring("a check", known=1)
    scene.bring("played", subject="regrade-demo")
    review(scene, (LATE, "parcel"))
    scene.bring("still open")
    scene.predict(OTHER)
    with scene.store.write() as connection:
        connection.execute(items.update().where(items.c.reason == "low_confidence").values(reason="audit"))
    held = scene.claim("ann")
    scene.answer("ann", held[OTHER], "refund")
    assert set(reviewed(scene)) == {LATE}


def test_labels_are_those_of_today(scene: Scene) -> None:
    review(scene, (LATE, "parcel"), (OTHER, "refund"))
    note_revision(scene.store, scene.task)
    split = scene.task.model_copy(
        update={
            "revision": 2,
            "labels": [
                *(label for label in scene.task.labels if label.name != "parcel"),
                scene.task.labels[0].model_copy(update={"id": 8, "name": "late", "replaces": [1]}),
                scene.task.labels[0].model_copy(update={"id": 9, "name": "lost", "replaces": [1]}),
            ],
        }
    )
    found = {item.text: item.value for item in read_reviews(scene.store, split).items}
    assert found == {LATE: None, OTHER: 2}


def test_numbers_have_no_gaps_and_the_same_content_keeps_its_own(scene: Scene) -> None:
    review(scene, (LATE, "parcel"), (OTHER, "refund"))
    late, other = reviewed(scene)[LATE], reviewed(scene)[OTHER]
    first = recorded(scene, "a", [late])
    second = recorded(scene, "b", [late, other], aside={"copy": 3})
    again = recorded(scene, "a", [late])
    assert [one.snapshot.number for one in (first, second, again)] == [1, 2, 1]
    assert [one.new_reviewed for one in (first, second, again)] == [1, 1, 1]
    assert (first.snapshot.previous, second.snapshot.previous) == (None, "a" * 64)
    assert [one.number for one in list_snapshots(scene.store, scene.task.name)] == [2, 1]
    for name in ("2", "latest", "b" * 64, "bbbbbb"):
        assert find_snapshot(scene.store, scene.task.name, name) == second.snapshot
    for name in ("3", "c" * 6, "b", "..", "B" * 64):
        with pytest.raises(NotFoundError):
            find_snapshot(scene.store, scene.task.name, name)
    assert reviewed(scene)[LATE].used_in == 1
    assert reviewed(scene)[OTHER].used_in == 2
    with scene.store.read() as connection:
        used = first_use(connection, [late.resolution_id, other.resolution_id, "none"])
    assert used == {late.resolution_id: 1, other.resolution_id: 2}


def test_many_at_once_get_numbers_without_gaps(scene: Scene) -> None:
    def one(number: int) -> int:
        found = record_snapshot(scene.store, draft(scene, f"{number % 7:x}"))
        assert found is not None
        return found.snapshot.number

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(one, range(14)))
    assert sorted(numbers) == sorted([*range(1, 8)] * 2)
    assert numbers[:7] == numbers[7:]


def test_what_a_snapshot_has_used_cannot_be_taken_back(scene: Scene) -> None:
    said = review(scene, (LATE, "parcel"), (OTHER, "refund"))
    late, other = reviewed(scene)[LATE], reviewed(scene)[OTHER]
    recorded(scene, "a", [late])
    ann = Caller("ann", "reviewer")
    with pytest.raises(ConflictError, match="snapshot 1 of shop-intent has used this answer"):
        undo(scene.store, scene.tasks, ann, late.item_id, said[LATE].answer_id)
    assert set(reviewed(scene)) == {LATE, OTHER}
    undo(scene.store, scene.tasks, ann, other.item_id, said[OTHER].answer_id)
    assert set(reviewed(scene)) == {LATE}
    # What was decided anew since is not what the snapshot used.
    send_back(scene.store, scene.tasks, ROOT, late.item_id, reopen=True)
    again = scene.answer("ann", scene.claim("ann")[LATE], "refund")
    undo(scene.store, scene.tasks, ann, late.item_id, again.answer_id)


def test_an_answer_taken_back_meanwhile_makes_it_begin_anew(scene: Scene) -> None:
    said = review(scene, (LATE, "parcel"))
    late = reviewed(scene)[LATE]
    begun = draft(scene, "a", [late])
    undo(scene.store, scene.tasks, Caller("ann", "reviewer"), late.item_id, said[LATE].answer_id)
    assert record_snapshot(scene.store, begun) is None
    assert list_snapshots(scene.store, scene.task.name) == []


def test_an_erasure_meanwhile_makes_it_begin_anew(scene: Scene, tmp_path: Path) -> None:
    begun = draft(scene)
    erased(scene, tmp_path, subject="nobody")
    assert record_snapshot(scene.store, begun) is None
    assert record_snapshot(scene.store, draft(scene)) is not None


def test_what_fails_at_the_end_leaves_nothing(scene: Scene) -> None:
    def keep(_: Recorded) -> None:
        raise OSError("the disk is full")

    review(scene, (LATE, "parcel"))
    late = reviewed(scene)[LATE]
    with pytest.raises(Exception, match=r"disk|store"):
        record_snapshot(scene.store, draft(scene, "a", [late], contradictory=[OTHER]), keep)
    assert list_snapshots(scene.store, scene.task.name) == []
    assert reviewed(scene)[LATE].used_in is None
    assert scene.claim("bob") == {}


def test_doubted_items_are_asked_again_once(scene: Scene) -> None:
    review(scene, (LATE, "parcel"), (OTHER, "refund"))
    late = reviewed(scene)[LATE]
    doubted = {late.item_id: late.resolution_id}
    assert recorded(scene, "a", doubted=doubted).sent_back == 1
    assert recorded(scene, "a", doubted=doubted).sent_back == 0
    row = item_of(scene.store, late.item_id)
    assert (row.state, row.round, row.reason, row.resolution_id) == ("open", 2, "disagreement", None)
    assert set(reviewed(scene)) == {OTHER}
    assert faults_of_counts(scene.store) == []
    scene.answer("bob", scene.claim("bob")[LATE], "refund")
    assert (reviewed(scene)[LATE].round, reviewed(scene)[LATE].value) == (2, 2)
    assert recorded(scene, "b", doubted=doubted).sent_back == 0  # it was decided otherwise since
    assert faults_of_counts(scene.store) == []


def test_contradictory_texts_are_asked_about_once(scene: Scene) -> None:
    review(scene, (LATE, "parcel"))
    scene.bring(LOST)
    asked = recorded(scene, "a", contradictory=[f" {LATE.upper()}", LOST, OTHER])
    assert asked.asked == 1
    assert recorded(scene, "b", contradictory=[LATE, LOST, OTHER]).asked == 0
    held = scene.claim("bob")
    assert set(held) == {LOST, OTHER}
    assert (held[OTHER].reason, held[OTHER].suggestions) == ("disagreement", ())
    assert faults_of_counts(scene.store) == []
    unlikely = [f"text {number}" for number in range(MOST_UNLIKELY + 3)]
    assert recorded(scene, "c", unlikely=unlikely).asked == MOST_UNLIKELY
    assert recorded(scene, "d", unlikely=unlikely).asked == 3


def test_a_flood_is_set_aside_until_somebody_releases_it(scene: Scene) -> None:
    review(scene, (LATE, "parcel"))
    (word,) = reviewed(scene)[LATE].words
    suspicion = Suspicion("ann", "burst", word.said_at - timedelta(seconds=1), {"rows": 100, "implausible": 0.9})
    assert recorded(scene, "a", suspected=[suspicion]).quarantined == 1
    assert recorded(scene, "b", suspected=[suspicion]).quarantined == 0
    task = scene.task.name
    assert read_sources(scene.store, task).quarantined == {"ann": suspicion.since}
    (held,) = list_quarantines(scene.store, task)
    assert (held.person, held.reason, held.figures) == ("ann", "burst", suspicion.figures)
    (alert,) = alerts(scene.store)
    told = {"alert": "source.quarantined", "source": "ann", "reason": "burst", "rows": 100}
    assert {name: alert[name] for name in told} == told
    assert release(scene.store, ROOT, task, "ann") == suspicion.since
    sources = read_sources(scene.store, task)
    assert sources.quarantined == {}
    assert sources.released["ann"] > word.said_at
    entries = [entry for entry in list_entries(scene.store) if "quarantine" in entry.action]
    noted = [(entry.actor, entry.action, entry.object) for entry in entries]
    assert noted == [("regrade", "quarantine", "ann"), ("root", "quarantine.release", "ann")]
    with pytest.raises(NotFoundError):
        release(scene.store, ROOT, task, "ann")


def erased(scene: Scene, home: Path, **wanted: Any) -> Any:
    spool = Spool(home / "spool.sqlite3")
    done = erase(scene.store, spool, home, ROOT, Wanted(**wanted), lambda _: [])
    spool.close()
    return done


def test_without_snapshots_an_erasure_leaves_nothing_to_do(scene: Scene, tmp_path: Path) -> None:
    scene.bring(LATE, subject="wilma")
    assert not erased(scene, tmp_path, subject="wilma").unsettled
    assert list_unsettled(scene.store) == []


def test_an_erasure_waits_for_the_files_and_marks_the_models(scene: Scene, tmp_path: Path) -> None:
    scene.bring(LATE, subject="wilma")
    scene.answer("ann", scene.claim("ann")[LATE], "parcel")
    for number, sha256 in enumerate("ab"):
        snapshot = recorded(scene, sha256, [reviewed(scene)[LATE]] if number else []).snapshot
        with scene.store.write() as connection:
            made = row(runs, number) | {"task": scene.task.name, "version": f"v{number}"}
            connection.execute(runs.insert(), made | {"snapshot_sha256": snapshot.sha256})
    done = erased(scene, tmp_path, subject="wilma")
    assert (done.unsettled, done.models) == (True, ["shop-intent:v1"])
    (waiting,) = list_unsettled(scene.store)
    assert (waiting.erasure_id, waiting.subject) == (done.id, "wilma")
    assert len(waiting.hashes) == 1
    marked = settle(scene.store, [done.id], {"a" * 64: Tombstone(2, [done.id]), "b" * 64: Tombstone(1, ["another"])})
    assert marked == {done.id: ["shop-intent:v0", "shop-intent:v1"]}
    assert list_unsettled(scene.store) == []
    assert [one.erased for one in list_snapshots(scene.store, scene.task.name)] == [1, 2]
    with scene.store.read() as connection:
        assert connection.scalars(select(erasures.c.models)).one() == marked[done.id]
        assert connection.scalars(select(texts.c.id)).all() == []
