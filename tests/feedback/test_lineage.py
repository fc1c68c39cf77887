"""Lineage: from a prediction to the reviewed items behind it, and from an answer to the versions it reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import NotFoundError
from feedback.adjudication import send_back
from feedback.answers import Answered
from feedback.deployments import record_deployment
from feedback.erasure import erase, wanted_erasure
from feedback.lineage import trace, trace_version
from feedback.lineage_facts import Reached, Used
from feedback.revisions import note_revision
from feedback.run_leases import take_lease
from feedback.run_queue import ask_for_run, end_run, take_run
from feedback.runs import Run, RunStatus
from feedback.schema import items
from feedback.snapshots import Draft, record_snapshot
from feedback.spool import Spool
from feedback.store import Store
from tests.support.learnt import judged_run, snapshot_that_used
from tests.support.scene import ROOT, Scene, make_task

LATE, LOST, OTHER = "my parcel is late", "the parcel is lost", "where is my refund"
TASK = "shop-intent"


@pytest.fixture
def scene(store: Store) -> Scene:
    scene = Scene(store, make_task(TASK))
    note_revision(store, scene.task)
    return scene


def item_of(scene: Scene, said: Answered) -> str:
    """Return the item that was answered."""
    answer = trace(scene.store, said.answer_id).answer
    assert answer is not None
    return answer.item_id


def review(scene: Scene, *labelled: tuple[str, str]) -> dict[str, Answered]:
    """Let a version predict texts in doubt, and one person say what they are; return the answers by text."""
    for text, _ in labelled:
        scene.predict(text, version="v1")
    held = scene.claim("ann")
    return {text: scene.answer("ann", held[text], label) for text, label in labelled}


def snapshot(scene: Scene, sha256: str, *texts: str) -> str:
    """Take a snapshot that uses the reviewed items with these texts; return its hash."""
    return snapshot_that_used(scene.store, scene.task, sha256 * 64, texts).sha256


def run(scene: Scene, sha256: str, version: str, decision: str, *, status: RunStatus) -> Run:
    """Let a run have learnt from a snapshot and have been judged."""
    return judged_run(scene.store, TASK, sha256, version, decision, status=status)


def lines_of(scene: Scene, name: str, most: int = 20) -> list[Reached]:
    found = trace(scene.store, name, most=most).reached
    assert found is not None
    return found


def texts_of(used: Sequence[Used]) -> list[str | None]:
    return [one.text for one in used]


def test_a_prediction_leads_to_the_reviewed_items_behind_it(scene: Scene) -> None:
    said = review(scene, (LATE, "refund"), (OTHER, "refund"))
    sha256 = snapshot(scene, "a", LATE, OTHER)
    made = run(scene, sha256, "v2", "pass", status="promoted")
    record_deployment(scene.store, TASK, "v2", "it passed", "regrade")
    quiet = scene.predict(LOST, version="v2", ask=False)
    found = trace(scene.store, quiet.id)
    assert (found.subject.kind, found.subject.task, found.item, found.notes) == ("prediction", TASK, None, [])
    assert found.prediction is not None
    assert found.prediction.version == "v2"
    model = found.model
    assert model is not None
    assert (model.version, model.is_live, model.run) == ("v2", True, made)
    assert [one.reason for one in model.deployments] == ["it passed"]
    assert model.snapshot is not None
    assert model.snapshot.record.sha256 == sha256
    assert texts_of(model.snapshot.items) == [OTHER, LATE]
    newest = model.snapshot.items[0]
    assert (newest.label, newest.confirms, newest.first, newest.until) == ("refund", False, 1, None)
    assert newest.answer_ids == [said[OTHER].answer_id]
    short = trace(scene.store, quiet.id, most=1).model
    assert short is not None
    assert short.snapshot is not None
    assert texts_of(short.snapshot.items) == [OTHER]


def test_an_answer_leads_to_snapshots_runs_verdicts_and_deployments(scene: Scene) -> None:
    said = review(scene, (LATE, "refund"), (OTHER, "refund"))
    unused = trace(scene.store, said[LATE].answer_id)
    assert (unused.notes, [one.first for one in lines_of(scene, said[LATE].answer_id)]) == (["unused"], [None])
    first = snapshot(scene, "a", LATE)
    refused = run(scene, first, "v2", "fail", status="rejected")
    second = snapshot(scene, "b", LATE, OTHER)
    passed = run(scene, second, "v3", "pass", status="promoted")
    record_deployment(scene.store, TASK, "v3", "it passed", "regrade")
    (reached,) = lines_of(scene, said[LATE].answer_id)
    assert (reached.label, reached.holds, reached.first, reached.until) == ("refund", True, 1, None)
    assert (reached.snapshots, reached.is_live) == (2, True)
    assert [use.snapshot.sha256 for use in reached.used_by] == [first, second]
    assert [made.run for use in reached.used_by for made in use.made] == [refused, passed]
    live = [[one.version for one in made.deployments] for use in reached.used_by for made in use.made]
    assert live == [[], ["v3"]]
    (other,) = lines_of(scene, said[OTHER].answer_id)
    assert [use.snapshot.number for use in other.used_by] == [2]
    record_deployment(scene.store, TASK, "v2", "somebody insisted", "root")
    (other,) = lines_of(scene, said[OTHER].answer_id)
    assert not other.is_live
    (cut,) = lines_of(scene, said[LATE].answer_id, most=1)
    assert (cut.snapshots, len(cut.used_by)) == (2, 1)


def test_what_was_left_out_again_reached_no_later_snapshot(scene: Scene) -> None:
    said = review(scene, (LATE, "refund"), (OTHER, "refund"))
    snapshot(scene, "a", LATE, OTHER)
    snapshot(scene, "b", OTHER)
    snapshot(scene, "c", OTHER)
    (gone,) = lines_of(scene, said[LATE].answer_id)
    assert (gone.first, gone.until, gone.snapshots) == (1, 2, 1)
    (kept,) = lines_of(scene, said[OTHER].answer_id)
    assert (kept.first, kept.until, kept.snapshots) == (1, None, 3)
    newest = trace(scene.store, "c" * 64).snapshot
    assert newest is not None
    assert texts_of(newest.items) == [OTHER]
    oldest = trace(scene.store, "a" * 6).snapshot
    assert oldest is not None
    assert set(texts_of(oldest.items)) == {LATE, OTHER}
    snapshot(scene, "a", LATE, OTHER)  # its old content is not new: nothing is used again by it
    (gone,) = lines_of(scene, said[LATE].answer_id)
    assert gone.until == 2
    snapshot(scene, "d", LATE, OTHER)
    (back,) = lines_of(scene, said[LATE].answer_id)
    assert back.until is None


def test_an_item_that_was_decided_anew_has_a_line_for_each_resolution(scene: Scene) -> None:
    said = review(scene, (LATE, "refund"))
    snapshot(scene, "a", LATE)
    item_id = item_of(scene, said[LATE])
    send_back(scene.store, scene.tasks, ROOT, item_id, reopen=True)
    assert trace(scene.store, item_id).notes == ["open", "files"]
    scene.answer("bob", scene.claim("bob")[LATE], "parcel")
    snapshot(scene, "b", LATE)
    found = trace(scene.store, item_id)
    lines = [(one.label, one.holds, one.first, one.until) for one in lines_of(scene, item_id)]
    assert lines == [("refund", False, 1, 2), ("parcel", True, 2, None)]
    assert [one.label for one in lines_of(scene, said[LATE].answer_id)] == ["refund"]
    assert found.item is not None
    assert (found.item.version, len(found.item.predictions)) == ("v1", 1)
    assert found.model is not None
    assert (found.model.version, found.model.run, found.notes) == ("v1", None, ["files"])


def test_versions_runs_and_snapshots_have_lines_of_their_own(scene: Scene) -> None:
    review(scene, (LATE, "refund"))
    sha256 = snapshot(scene, "a", LATE)
    made = run(scene, sha256, "v2", "pass", status="passed")
    by_version, by_run, by_hash = (trace(scene.store, name) for name in ("v2", made.id, sha256))
    assert by_version.model is not None
    assert by_version.model == by_run.model
    assert (by_version.model.run, by_run.run) == (made, made)
    assert [one.run for one in by_hash.made or ()] == [made]
    assert by_hash.subject.id == trace(scene.store, sha256[:8]).subject.id == sha256
    alone = trace_version(scene.store, TASK, "20261122-071721-272a44").model
    assert alone is not None
    assert (alone.run, alone.snapshot, alone.deployments, alone.is_live) == (None, None, [], False)


def test_a_run_that_made_nothing_shows_its_snapshot(scene: Scene) -> None:
    review(scene, (LATE, "refund"))
    sha256 = snapshot(scene, "a", LATE)
    ask_for_run(scene.store, ROOT, TASK, "full", "cron")
    assert take_lease(scene.store, TASK, "tests")
    waiting = take_run(scene.store, TASK, "tests")
    assert waiting is not None
    assert trace(scene.store, waiting.id).snapshot is None
    end_run(scene.store, waiting, "tests", "unchanged", "nothing new", snapshot_sha256=sha256)
    found = trace(scene.store, waiting.id)
    assert found.model is None
    assert found.snapshot is not None
    assert found.snapshot.record.sha256 == sha256


@pytest.mark.parametrize(
    ("values", "note"), [({"reason": "audit"}, "audit"), ({"state": "check"}, "check"), ({"state": "merged"}, "merged")]
)
def test_it_says_why_an_item_does_not_train(scene: Scene, values: dict[str, str], note: str) -> None:
    said = review(scene, (LATE, "refund"))
    with scene.store.write() as connection:
        connection.execute(items.update().values(**values))
    assert trace(scene.store, said[LATE].answer_id).notes == [note]


def test_demo_data_and_extra_answers_go_nowhere(scene: Scene) -> None:
    (played,) = scene.bring("played", subject="regrade-demo")
    assert trace(scene.store, played).notes == ["demo"]
    (extra,) = scene.bring(LATE)
    held = scene.claim("ann")[LATE]
    scene.answer("ann", held, "refund")
    late = scene.bring(OTHER)
    skipped = scene.answer("ann", scene.claim("ann")[OTHER], kind="skip")
    assert trace(scene.store, late[0]).notes == ["open"]
    assert trace(scene.store, skipped.answer_id).reached == []
    assert trace(scene.store, extra).notes == ["unused"]


def test_what_was_erased_keeps_its_line_without_its_text(scene: Scene, tmp_path: Path) -> None:
    said = review(scene, (LATE, "refund"), (OTHER, "refund"))
    sha256 = snapshot(scene, "a", LATE, OTHER)
    spool = Spool(tmp_path / "spool.sqlite3")
    erase(scene.store, spool, tmp_path, ROOT, wanted_erasure(None, LATE, [scene.task]), lambda _: [])
    spool.close()
    found = trace(scene.store, said[LATE].answer_id)
    assert found.notes == ["erased"]
    assert [one.first for one in lines_of(scene, said[LATE].answer_id)] == [1]
    use = trace(scene.store, sha256).snapshot
    assert use is not None
    assert set(texts_of(use.items)) == {None, OTHER}


def test_only_tasks_that_may_be_seen_are_searched(scene: Scene) -> None:
    said = review(scene, (LATE, "refund"))
    sha256 = snapshot(scene, "a", LATE)
    made = run(scene, sha256, "v2", "pass", status="passed")
    names = [said[LATE].answer_id, item_of(scene, said[LATE]), made.id, "v2", sha256, sha256[:6]]
    assert {trace(scene.store, name, [TASK]).subject.task for name in names} == {TASK}
    for name in names:
        with pytest.raises(NotFoundError, match="nothing here has the id"):
            trace(scene.store, name, ["elsewhere"])


@pytest.mark.parametrize("name", ["", "nosuch", "abcdef", "0199f1c2-0000-7000-8000-000000000001", "%" * 64, "\x00"])
def test_what_is_not_there_is_said_so(scene: Scene, name: str) -> None:
    with pytest.raises(NotFoundError):
        trace(scene.store, name)


def test_too_few_digits_of_a_hash_are_said_so(scene: Scene) -> None:
    task = scene.task
    for end in "ab":
        assert record_snapshot(scene.store, Draft(task, "a" * 63 + end, 10, {}, {}))
    with pytest.raises(NotFoundError, match="several snapshots begin with aaaaaa"):
        trace(scene.store, "aaaaaa")
    assert trace(scene.store, "a" * 63 + "b").subject.id == "a" * 63 + "b"
