"""Learning one label from people must not cost the others; without replay it does, and the gate says so."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.settings import Settings
from feedback.revisions import note_revision
from feedback.store import open_store
from service.classifier import load_classifier
from service.model_store import new_version, version_folder
from tasks.catalogue import STARTERS, TaskFolder
from tasks.declaration import OUT_OF_SCOPE, read_task
from tests.support.snapshots import snapshot_of
from training.candidate import learn_candidate
from training.evidence import Contest, gather_evidence
from training.gate import Decision, judge
from training.own_data import write_rows
from training.rows import read_rows
from training.snapshot_rows import Snapshot, SnapshotRow
from training.train import train

pytestmark = pytest.mark.slow

STARTER = "support-intent"
LABEL = "wrong_item"
ANSWERED = 30


@dataclass(frozen=True)
class Start:
    """A starter without some rows of one label, its champion, and those rows as people answered them."""

    folder: TaskFolder
    champion: str
    answered: list[SnapshotRow]


@pytest.fixture(scope="module")
def start(settings: Settings) -> Start:
    place = settings.own_tasks / STARTER
    shutil.copytree(STARTERS / STARTER, place)
    rows = read_rows(place / "train.csv").rows
    taken = [row for row in rows if row.label == LABEL][:ANSWERED]
    assert len(taken) == ANSWERED
    write_rows(place / "train.csv", [row for row in rows if row not in taken])
    folder = TaskFolder(read_task(place), place)
    champion = train(settings, folder, quick=True, shown=False).manifest.version
    answered = [
        SnapshotRow(row.text, LABEL, ((LABEL, 1.0),), 1.0, "reviewed", f"item-{number}", f"resolution-{number}")
        for number, row in enumerate(taken)
    ]
    return Start(folder, champion, answered)


def right_of_others(version: Path, snapshot: Snapshot) -> float:
    """Return the accuracy on gold rows of all labels but the one that people answered."""
    rows = [row for row in snapshot.gold if row.label not in {LABEL, OUT_OF_SCOPE}]
    classifier = load_classifier(version)
    chosen = classifier.classify([row.text for row in rows]).scores.probabilities.argmax(axis=1)
    right = [classifier.label_names[at] == row.label for at, row in zip(chosen, rows, strict=True)]
    return float(sum(right) / len(right))


def learn(settings: Settings, start: Start, snapshot: Snapshot, tmp_path: Path) -> tuple[float, Decision]:
    """Return what a fast run costs the other labels, and what the gate says of it."""
    made = learn_candidate(settings, start.folder, snapshot, start.champion, new_version(), "fast")
    old, new = (version_folder(STARTER, version) for version in (start.champion, made.manifest.version))
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    note_revision(store, start.folder.task)
    contest = Contest(start.folder, snapshot, start.champion, made.manifest.version, made.folds)
    verdict = judge(gather_evidence(settings, store, contest), start.folder.task.gate)
    store.close()
    return right_of_others(old, snapshot) - right_of_others(new, snapshot), verdict.decision


def test_replay_keeps_the_other_labels(settings: Settings, start: Start, tmp_path: Path) -> None:
    cost, _ = learn(settings, start, snapshot_of(start.folder, start.answered), tmp_path)
    assert cost <= 0.005


def test_without_replay_they_are_lost_and_the_gate_refuses(settings: Settings, start: Start, tmp_path: Path) -> None:
    full = snapshot_of(start.folder, start.answered)
    other = next(row for row in full.rows if row.label != LABEL)
    cost, decision = learn(settings, start, replace(full, rows=[other, *start.answered], outside=[]), tmp_path)
    assert cost > 0.005
    assert decision == "fail"
