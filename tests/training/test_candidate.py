from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import ConflictError, ModelError
from core.settings import Settings
from feedback.runs import RunMode
from service.artifact import FP32, INT8, TOKENIZER, read_manifest, read_metrics, verify_files
from service.classifier import load_classifier
from service.encoding import load_encoder
from service.model_store import list_versions, new_version, version_folder, version_names
from service.runner import OrtRunner
from tasks.catalogue import TaskFolder
from tasks.declaration import OUT_OF_SCOPE, Label
from tests.support.snapshots import snapshot_of
from tests.support.tiny import WORDS
from training.candidate import Candidate, learn_candidate
from training.champion import open_champion
from training.finetune import seeded
from training.graph_head import read_head
from training.held_out import find_held_out
from training.inference import run_all
from training.model import load_network
from training.network_inference import run_network
from training.own_data import write_rows
from training.rows import Row
from training.snapshot_rows import Snapshot, SnapshotRow
from training.train import train
from training.warm import load_encoder_of

NEW = [
    ("my gift card is empty", "refund"),
    ("the gift card has no money on it", "refund"),
    ("gift card balance gone", "refund"),
]
HELD_BACK = "there is no money on this gift card"
VARIED = ["at home", "in the shop", "since friday", "for my sister", "on my phone", "from abroad", "once more", "soon"]
VARIED_ROWS = [Row(f"{text} {word}", label) for label, texts in WORDS.items() for text in texts for word in VARIED]

KILLED = """
import os, signal, shutil
from pathlib import Path
from service import model_store
from service.artifact import MANIFEST, read_manifest, write_manifest
folder = Path("{place}")
shutil.copytree("{source}", folder)
write_manifest(folder, read_manifest(folder).model_copy(update={{"version": "{version}"}}))
copy, copied = shutil.copyfile, []
def copy_some(source, target, **more):
    copied.append(source)
    if len(copied) == 3 * len(read_manifest(folder).files) // 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return copy(source, target, **more)
shutil.copyfile = copy_some
model_store.save_version(folder)
"""


@pytest.fixture(scope="module")
def champion(settings: Settings, folder: TaskFolder) -> str:
    return train(settings, folder, quick=True, shown=False).manifest.version


def reviewed(text: str, label: str, number: int, weight: float = 1.0) -> SnapshotRow:
    return SnapshotRow(
        text, label, ((label, 1.0),), weight, "reviewed", item_id=f"item-{number}", resolution_id=f"resolution-{number}"
    )


@pytest.fixture(scope="module")
def snapshot(folder: TaskFolder) -> Snapshot:
    return snapshot_of(folder, [reviewed(text, label, number) for number, (text, label) in enumerate(NEW)])


def learn(settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str | None, mode: RunMode) -> Candidate:
    return learn_candidate(settings, folder, snapshot, champion, new_version(), mode)


@pytest.fixture(scope="module")
def fast(settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str) -> Candidate:
    return learn(settings, folder, snapshot, champion, "fast")


def place_of(candidate: Candidate) -> Path:
    return version_folder(candidate.manifest.task, candidate.manifest.version)


def chance(version: Path, text: str, label: str) -> float:
    classifier = load_classifier(version)
    return float(classifier.classify([text]).scores.probabilities[0][classifier.label_names.index(label)])


def test_a_fast_candidate_is_whole_and_tells_where_it_comes_from(
    fast: Candidate, champion: str, snapshot: Snapshot
) -> None:
    manifest = fast.manifest
    verify_files(place_of(fast), manifest)
    assert manifest.method == "fast"
    assert manifest.gate.decision == "untested"
    assert manifest.snapshot_sha256 == snapshot.sha256
    assert manifest.recipe["champion"] == champion
    assert read_metrics(place_of(fast))["measured_on"] == "gold"
    assert manifest.summary.keys() == {"accuracy", "macro_f1", "ece"}
    assert fast.report is None


def test_what_people_said_is_learnt_and_so_are_words_like_it(
    fast: Candidate, champion: str, folder: TaskFolder
) -> None:
    before, after = version_folder(folder.task.name, champion), place_of(fast)
    for text in [NEW[0][0], HELD_BACK]:
        assert chance(after, text, "refund") > chance(before, text, "refund")


def test_other_answers_hardly_move(fast: Candidate, champion: str, folder: TaskFolder, snapshot: Snapshot) -> None:
    texts = [row.text for row in snapshot.rows if row.source == "base"]
    before, after = (
        load_classifier(version).classify(texts).scores.probabilities
        for version in (version_folder(folder.task.name, champion), place_of(fast))
    )
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() > 0.9


def test_the_fused_head_is_the_fitted_one_in_both_graphs(fast: Candidate, champion: str, folder: TaskFolder) -> None:
    old = version_folder(folder.task.name, champion)
    head = read_head(place_of(fast))
    ids, mask = np.array([[2, 7, 9, 11, 3]], dtype=np.int64), np.ones((1, 5), dtype=np.int64)
    for file in (INT8, FP32):
        logits, embedding = OrtRunner(place_of(fast), "cpu", file).run(ids, mask)
        _, before = OrtRunner(old, "cpu", file).run(ids, mask)
        assert np.array_equal(embedding, before), "the encoder stays, byte for byte"
        assert logits == pytest.approx(head.logits(embedding), abs=1e-4)
    parity = read_metrics(place_of(fast))["parity"]
    assert parity["fp32_torch_max"] < 1e-3
    assert parity["int8_fp32_agreement"] > 0.9


def test_a_version_that_is_there_is_not_made_again(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str, fast: Candidate
) -> None:
    version = fast.manifest.version
    again = learn_candidate(settings, folder, snapshot, champion, version, "fast")
    assert again.manifest == fast.manifest
    assert again.folds is not None
    assert fast.folds is not None
    assert np.array_equal(again.folds.candidate.chosen, fast.folds.candidate.chosen)


def test_what_is_left_of_a_version_is_replaced_by_a_whole_one(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str
) -> None:
    made = learn(settings, folder, snapshot, champion, "fast")
    (place_of(made) / INT8).unlink()
    again = learn_candidate(settings, folder, snapshot, champion, made.manifest.version, "fast")
    verify_files(place_of(again), again.manifest)


def test_a_process_killed_while_it_saves_leaves_nothing_in_the_store(
    settings: Settings, folder: TaskFolder, fast: Candidate, tmp_path: Path
) -> None:
    name = new_version()
    script = KILLED.format(source=place_of(fast), place=tmp_path / "made", version=name)
    environment = {**os.environ, "REGRADE_HOME": str(settings.home)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    assert name not in version_names(folder.task.name)
    assert [manifest.version for manifest in list_versions(folder.task.name)]


def test_folds_hold_base_rows_once_and_compare_two_recipes(fast: Candidate, snapshot: Snapshot) -> None:
    folds = fast.folds
    assert folds is not None
    assert len(folds) == len(set(folds.ids)) == sum(row.source == "base" for row in snapshot.rows)
    assert (folds.champion.chosen == folds.candidate.chosen).mean() > 0.5  # of three labels
    assert (folds.champion.confidence != folds.candidate.confidence).any()


def test_a_text_that_nobody_answers_for_becomes_less_sure(
    settings: Settings, folder: TaskFolder, champion: str
) -> None:
    text = "lovely weather for a parcel"
    strange = snapshot_of(folder, [reviewed(text, OUT_OF_SCOPE, 1)])
    made = learn(settings, folder, strange, champion, "fast")
    sure = [
        float(load_classifier(version).classify([text]).scores.probabilities.max())
        for version in (version_folder(folder.task.name, champion), place_of(made))
    ]
    assert sure[1] < sure[0]


def test_a_fast_run_needs_a_champion_of_the_same_labels(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str
) -> None:
    with pytest.raises(ConflictError, match="no live version"):
        learn(settings, folder, snapshot, None, "fast")
    more = [*folder.task.labels, Label(id=99, name="weather")]
    other = replace(folder, task=folder.task.model_copy(update={"labels": more, "revision": 2}))
    with pytest.raises(ModelError, match="other labels"):
        learn(settings, other, snapshot, champion, "fast")


def test_labels_may_be_renamed_and_reordered_between(settings: Settings, folder: TaskFolder, champion: str) -> None:
    labels = [label.model_copy(update={"name": f"the {label.name}"}) for label in reversed(folder.task.labels)]
    task = folder.task.model_copy(update={"labels": labels, "revision": 2})
    opened, before = open_champion(settings, task, champion), open_champion(settings, folder.task, champion)
    text = ["where is my parcel"]
    assert opened.probabilities(opened.embed(text))[0, ::-1] == pytest.approx(
        before.probabilities(before.embed(text))[0]
    )


def test_a_full_candidate_learns_base_rows_and_answers_together(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str
) -> None:
    made = learn(settings, folder, snapshot, champion, "full")
    manifest = made.manifest
    verify_files(place_of(made), manifest)
    assert manifest.method == "full"
    assert manifest.snapshot_sha256 == snapshot.sha256
    assert made.folds is None
    assert made.report is not None
    assert made.report.exists()
    assert made.seconds["fine-tune"] > 0
    rows = read_metrics(place_of(made))["rows"]
    assert rows["train"] == len(snapshot.rows)
    again = learn_candidate(settings, folder, snapshot, champion, manifest.version, "full")
    assert (again.manifest, again.report) == (manifest, made.report)


def test_a_full_candidate_may_start_from_the_champion(settings: Settings, tmp_path: Path, folder: TaskFolder) -> None:
    place = tmp_path / folder.task.name
    place.mkdir()
    write_rows(place / "train.csv", VARIED_ROWS)
    recipe = folder.task.training.model_copy(update={"refit": False})
    retrain = folder.task.retrain.model_copy(update={"start": "champion", "blend": 0.3})
    own = TaskFolder(folder.task.model_copy(update={"training": recipe, "retrain": retrain}), place)
    first = train(settings, own, shown=False).manifest.version
    before = version_folder(own.task.name, first)
    with seeded(1):
        network = load_network(Path(own.task.base), len(own.task.labels), 0.0)
    load_encoder_of(before, network)
    encoder = load_encoder(before / TOKENIZER, own.task.max_length)
    encodings = [encoder.encode(row.text) for row in VARIED_ROWS[:8]]
    exact = run_all(OrtRunner(before, "cpu", FP32).run, encoder, encodings).embeddings
    assert run_network(network, encoder, encodings).embeddings == pytest.approx(exact, abs=1e-4)
    answered = snapshot_of(own, [reviewed(text, label, number) for number, (text, label) in enumerate(NEW)])
    second = learn(settings, own, answered, first, "full")
    assert second.manifest.recipe["start"] == "champion"
    held = [find_held_out(own, read_manifest(version), version) for version in (before, place_of(second))]
    assert held[0] is not None
    assert held[0] == held[1]


def test_a_champion_that_has_seen_everything_is_no_start(
    settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str
) -> None:
    retrain = folder.task.retrain.model_copy(update={"start": "champion"})
    own = TaskFolder(folder.task.model_copy(update={"retrain": retrain}), folder.folder)
    with pytest.raises(ConflictError, match="has seen every row"):
        learn(settings, own, snapshot, champion, "full")


def test_a_fast_candidate_of_a_full_one_is_certified_on_rows_that_neither_saw(
    settings: Settings, tmp_path: Path, folder: TaskFolder
) -> None:
    place = tmp_path / folder.task.name
    place.mkdir()
    write_rows(place / "train.csv", VARIED_ROWS)
    own = TaskFolder(folder.task, place)
    first = learn(settings, own, snapshot_of(own), None, "full")
    held = find_held_out(own, first.manifest, place_of(first))
    assert held is not None
    assert held.certification
    answered = snapshot_of(own, [reviewed(text, label, number) for number, (text, label) in enumerate(NEW)])
    second = learn(settings, own, answered, first.manifest.version, "fast")
    risk = second.manifest.risk
    assert risk is not None
    assert risk.rows == len(held.certification)
    assert second.folds is not None
    assert len(second.folds) == len(held.certification)
    assert find_held_out(own, second.manifest, place_of(second)) == held
