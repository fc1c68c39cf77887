"""What the gate judges by, gathered from two real versions and from what people really answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

from core.ids import new_id
from core.settings import Settings
from feedback.facts import Reason
from feedback.new_items import new_item
from feedback.pins import pin
from feedback.recording import record
from feedback.revisions import note_revision
from feedback.schema import items, resolutions, snapshot_items, snapshots
from feedback.store import Store, open_store
from service.classifier import load_classifier
from service.model_store import version_folder
from tasks.catalogue import TaskFolder
from tasks.declaration import GateLimits, Review, Task
from tests.support.scene import ROOT, Scene
from training.evidence import Contest, gather_evidence
from training.gate import judge
from training.paired import OUTSIDE, UNKNOWN
from training.paired_files import kept_pair
from training.rows import Row
from training.scored import Scorer
from training.snapshot_rows import Snapshot, SnapshotRow, base_row
from training.sources import gather
from training.train import train


@pytest.fixture(scope="module")
def versions(settings: Settings, folder: TaskFolder) -> tuple[str, str, str]:
    """Three versions of the tiny task: the champion, the candidate, and one that was pinned long ago."""
    made = [train(settings, folder, quick=True, seed=seed, shown=False).manifest.version for seed in (1, 2, 3)]
    return made[0], made[1], made[2]


@pytest.fixture
def scene(tmp_path: Path, task: Task) -> Iterator[Scene]:
    quiet = task.model_copy(update={"review": Review(check_rate=0.0, hide_suggestions=0.0)})
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    note_revision(store, quiet)
    yield Scene(store, quiet)
    store.close()


def ask(scene: Scene, text: str, reason: Reason, inclusion: float) -> None:
    made = scene.recording(text, ask=False, inclusion=inclusion)
    item = new_item(scene.task, made.text, reason, 0.5, suggestions=made.scores, language="en")
    with scene.store.write() as connection:
        record(scene.store, connection, [replace(made, item=item)])


def answer(scene: Scene, label: str) -> None:
    for held in scene.claim("ann").values():
        scene.answer("ann", held, label)


def reviewed_rows(store: Store, task: Task, reasons: tuple[Reason, ...]) -> list[SnapshotRow]:
    """Return the resolved items of some reasons as rows of a snapshot."""
    names = {label.id: label.name for label in task.labels}
    wanted = (
        select(resolutions.c.id, resolutions.c.value, items.c.id.label("item_id"), items.c.text_id)
        .join(items, items.c.resolution_id == resolutions.c.id)
        .where(items.c.reason.in_(reasons))
        .order_by(resolutions.c.id)
    )
    with store.read() as connection:
        found = connection.execute(wanted).all()
    return [
        SnapshotRow(
            text=f"my parcel {row.text_id[-6:]}",
            label=names[row.value],
            soft=((names[row.value], 1.0),),
            weight=1.0,
            source="reviewed",
            item_id=row.item_id,
            resolution_id=row.id,
        )
        for row in found
    ]


def snapshot_of(folder: TaskFolder, reviewed: list[SnapshotRow], number: int = 1) -> Snapshot:
    sources = gather(folder)
    base = [base_row(row, row.text) for row in sources.rows]
    return Snapshot(
        folder.task.name,
        "s" * 64,
        number,
        [*base, *reviewed],
        [],
        sources.gold,
        [],
        Path("none"),
        None,
        1,
        len(reviewed),
    )


def use(store: Store, task: Task, sha256: str, number: int, rows: list[SnapshotRow]) -> None:
    """Note a snapshot as taken, as the first that used `rows`."""
    about = {"task": task.name, "revision": 1, "rows": 9, "reviewed": len(rows), "aside": {}, "erased": 0}
    with store.write() as connection:
        connection.execute(
            insert(snapshots).values(sha256=sha256, number=number, created_at=datetime.now(UTC), **about)
        )
        for row in rows:
            used = {"resolution_id": row.resolution_id, "task": task.name, "item_id": new_id(), "number": number}
            connection.execute(insert(snapshot_items).values(used))


def test_gold_is_asked_as_it_is_served(
    settings: Settings, folder: TaskFolder, scene: Scene, versions: tuple[str, str, str], tmp_path: Path
) -> None:
    champion, candidate, _ = versions
    snapshot = snapshot_of(folder, [])
    seen: list[int] = []
    contest = Contest(folder, snapshot, champion, candidate)
    evidence = gather_evidence(settings, scene.store, contest, seen.append, keep=tmp_path)
    names = folder.task.label_names
    texts = [row.text for row in snapshot.gold]
    for version, said in ((champion, evidence.gold.champion), (candidate, evidence.gold.candidate)):
        served = load_classifier(version_folder(folder.task.name, version)).classify(texts).scores
        assert (said.chosen == served.probabilities.argmax(axis=1)).all()
        assert said.confidence == pytest.approx(served.probabilities.max(axis=1), abs=1e-5)
        assert said.out_of_scope == pytest.approx(served.out_of_scope, abs=1e-5)
    targets = [OUTSIDE if row.label == "out_of_scope" else names.index(str(row.label)) for row in snapshot.gold]
    assert evidence.gold.targets.tolist() == targets
    assert sum(seen) >= 2 * len(texts)
    assert (evidence.audit, evidence.corrections, evidence.ancestor, evidence.answers) == (None, None, None, None)
    assert 0.5 <= evidence.parity <= 1.0
    assert evidence.parity_rows == len(texts)
    assert min(evidence.champion_ms, evidence.candidate_ms) > 0
    assert evidence.candidate_bytes > 10_000
    kept = kept_pair(tmp_path / "gold.npz")
    assert kept is not None
    assert kept.targets.tolist() == targets
    assert not any(text.encode() in path.read_bytes() for path in tmp_path.glob("*.npz") for text in texts)
    again = gather_evidence(settings, scene.store, contest)
    assert (again.gold.candidate.confidence == evidence.gold.candidate.confidence).all()


def test_what_people_said_becomes_evidence(
    settings: Settings, folder: TaskFolder, scene: Scene, versions: tuple[str, str, str]
) -> None:
    champion, candidate, _ = versions
    for number in range(4):
        ask(scene, f"a sure one {number}", "audit", 0.02 if number else 0.1)
        ask(scene, f"past doubt {number}", "low_confidence", 1.0)
    answer(scene, "refund")
    past = reviewed_rows(scene.store, scene.task, ("low_confidence",))
    sha256 = Scorer(scene.task, champion).classifier.manifest.snapshot_sha256
    use(scene.store, scene.task, sha256, 1, past)
    ask(scene, "new doubt", "low_confidence", 1.0)
    ask(scene, "reported", "user_report", 1.0)
    answer(scene, "password")
    rows = reviewed_rows(scene.store, scene.task, ("low_confidence", "user_report"))
    use(scene.store, scene.task, "s" * 64, 2, [row for row in rows if row not in past])
    snapshot = snapshot_of(folder, rows, 2)
    snapshot.rows.append(replace(past[0], text="a sure one 3", resolution_id=None))
    evidence = gather_evidence(settings, scene.store, Contest(folder, snapshot, champion, candidate))

    assert evidence.audit is not None
    assert evidence.audit.weights is not None
    assert sorted(evidence.audit.weights.tolist()) == pytest.approx([10, 50, 50])  # one of them trains
    assert set(evidence.audit.targets.tolist()) == {folder.task.label_names.index("refund")}
    assert evidence.corrections is not None
    assert set(evidence.corrections.ids) == {row.item_id for row in past}
    assert evidence.answers is not None
    assert sorted(evidence.answers.drawn.tolist()) == [False, True]
    place = folder.task.label_names.index("password")
    said = Scorer(scene.task, champion).score([row.text for row in rows if row not in past])
    assert sorted(evidence.answers.given.tolist()) == pytest.approx(sorted(said.probabilities[:, place].tolist()))
    assert len(evidence.answers.mistakes) == int((evidence.gold.champion.chosen != evidence.gold.targets).sum()) - 1


def test_the_best_pinned_version_is_held_against_the_candidate(
    settings: Settings, folder: TaskFolder, scene: Scene, versions: tuple[str, str, str]
) -> None:
    champion, candidate, pinned = versions
    for version in (champion, pinned, "20200101-000000-gone00"):
        pin(scene.store, ROOT, folder.task.name, version)
    evidence = gather_evidence(settings, scene.store, Contest(folder, snapshot_of(folder, []), champion, candidate))
    assert evidence.ancestor_version == pinned
    assert evidence.ancestor is not None
    assert (evidence.ancestor.candidate.chosen == evidence.gold.candidate.chosen).all()


def test_a_verdict_counts_as_a_use_of_its_gold_set(
    settings: Settings, folder: TaskFolder, scene: Scene, versions: tuple[str, str, str]
) -> None:
    snapshot = snapshot_of(folder, [])
    contest = Contest(folder, snapshot, *versions[:2])
    verdict = judge(gather_evidence(settings, scene.store, contest), GateLimits())
    assert len(verdict.gold["sha256"]) == 64
    other = replace(snapshot, gold=[*snapshot.gold, Row("one more parcel", "parcel")])
    changed = gather_evidence(settings, scene.store, replace(contest, snapshot=other))
    assert changed.gold_sha256 != verdict.gold["sha256"]


def test_without_gold_the_rest_is_gathered(
    settings: Settings, folder: TaskFolder, scene: Scene, versions: tuple[str, str, str]
) -> None:
    bare = replace(snapshot_of(folder, []), gold=[])
    evidence = gather_evidence(settings, scene.store, Contest(folder, bare, *versions[:2]))
    assert len(evidence.gold) == 0
    assert judge(evidence, GateLimits()).decision == "inconclusive"


def test_a_version_answers_in_todays_labels(folder: TaskFolder, versions: tuple[str, str, str]) -> None:
    task = folder.task
    parcel, refund, password = task.labels
    renamed = parcel.model_copy(update={"name": "package"})
    fresh = password.model_copy(update={"id": 9, "name": "voucher"})
    today = task.model_copy(update={"labels": [fresh, refund, renamed]})
    texts = ["where is my parcel", "reset the password", "i want a refund", "my parcel is late now"]
    before, after = (Scorer(one, versions[0]).score(texts) for one in (task, today))
    places = np.array([2, 1, UNKNOWN])
    assert (after.chosen == places[before.chosen]).all()
    assert (after.probabilities[:, [2, 1]] == before.probabilities[:, [0, 1]]).all()
    assert (after.probabilities[:, 0] == 0).all()
    assert Scorer(today, versions[0]).known.tolist() == [False, True, True]


def test_a_kept_answer_that_was_cut_off_is_computed_again(
    tmp_path: Path, folder: TaskFolder, versions: tuple[str, str, str]
) -> None:
    scorer = Scorer(folder.task, versions[0], tmp_path)
    first = scorer.score_gold(["where is my parcel", "a refund"])
    kept = next(tmp_path.rglob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:100])
    again = scorer.score_gold(["where is my parcel", "a refund"])
    assert (first.probabilities == again.probabilities).all()
    assert list(tmp_path.rglob("*.new")) == []


def test_versions_on_one_encoder_are_asked_through_what_it_made_of_gold(
    tmp_path: Path, folder: TaskFolder, versions: tuple[str, str, str]
) -> None:
    texts = ["where is my parcel", "i want a refund", "reset the password", "my parcel is late now"]
    first, second = (Scorer(folder.task, version, tmp_path) for version in versions[:2])
    assert first.encoder is not None
    assert first.encoder == second.encoder
    first.score_gold(texts)
    served = Scorer(folder.task, versions[1]).score(texts)
    found = second.score_gold(texts)
    assert found.probabilities == pytest.approx(served.probabilities, abs=1e-5)
    assert found.out_of_scope == pytest.approx(served.out_of_scope, abs=1e-5)

    embedded = next(tmp_path.rglob(f"{first.encoder}-*.npz"))
    with np.load(embedded) as kept:
        turned = kept["embeddings"][::-1]
    np.savez(embedded, embeddings=turned)
    third = Scorer(folder.task, versions[2], tmp_path).score_gold(texts)
    straight = Scorer(folder.task, versions[2]).score(texts)
    assert third.probabilities == pytest.approx(straight.probabilities[::-1], abs=1e-5)  # it was not computed again


def test_any_number_of_texts_is_answered_in_their_order(folder: TaskFolder, versions: tuple[str, str, str]) -> None:
    texts = [f"where is parcel {number} of {'very ' * (number % 7)}mine" for number in range(300)]
    scorer = Scorer(folder.task, versions[0])
    told: list[int] = []
    together = scorer.score(texts, told.append)
    assert sum(told) == len(texts)
    assert len(scorer.score([]).chosen) == 0
    for at in (0, 1, 130, 299):
        alone = scorer.score([texts[at]])
        assert alone.probabilities[0] == pytest.approx(
            together.probabilities[at], abs=0.05
        )  # int8 depends on its batch
