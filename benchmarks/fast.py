"""What a fast run learns, what else it changes, and how long it takes, with BANKING77-sized data.

`python -m benchmarks.fast` trains a champion on the 10,003 training texts (`--quick`; `--champion full` fine-tunes one,
which takes half an hour) and corrects it on 30 test texts of one random half: wrong answers drawn at random, or the 30
answers it was least sure of, right ones among them. Measured are those texts, the other half of the test set, and in it
the texts of the same mistakes: of a corrected label, and answered with the same wrong one. Means of 4 halves.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.banking77 import FLAGS, regrade
from benchmarks.common import data_folder, keep_result, machine
from core.redaction import Redactor
from core.settings import Settings, load_settings
from service.model_store import new_version, version_names
from tasks.catalogue import TaskFolder, find_task
from training.candidate import learn_candidate
from training.champion import Champion, open_champion
from training.fast import refit
from training.fast_rows import lay_out_rows
from training.held_out import find_held_out
from training.rows import Row
from training.snapshot_rows import Snapshot, SnapshotRow, base_row

NEW = 30
HALVES = 4
WEIGHTS = (1.0, 2.0, 3.0, 5.0, 20.0)
PULLS = (0.1, 0.3, 1.0)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """Shares, 0 to 1: what is right of the reviewed texts, and of held-back texts of the same mistakes.

    The rest is of the held-back half: the gain of accuracy, answers that changed, right ones that became wrong.
    """

    chosen: str
    weight: float
    pull: float
    learnt: float
    same_mistake: float
    gain: float
    changed: float
    negative_flips: float


@dataclass(frozen=True)
class Scene:
    """A champion, the base rows it learnt from, and the test texts with their embeddings, labels and old answers."""

    folder: TaskFolder
    champion: Champion
    base: list[SnapshotRow]
    base_embeddings: Floats
    test: list[Row]
    embeddings: Floats
    targets: Ints

    @property
    def old(self) -> Ints:
        """The champion's answers to the test texts."""
        answers: Ints = self.champion.head.logits(self.embeddings).argmax(axis=1)
        return answers

    def snapshot(self, new: Ints) -> Snapshot:
        """Return a snapshot of the base rows and the test texts `new`, as reviewed."""
        rows = [*self.base, *(_reviewed(self.test[at], at) for at in new.tolist())]
        task = self.folder.task
        return Snapshot(task.name, "0" * 64, 1, rows, [], [], [], Path("none"), None, task.revision, len(new))


def _reviewed(row: Row, number: int) -> SnapshotRow:
    label = str(row.label)
    return SnapshotRow(row.text, label, ((label, 1.0),), 1.0, "reviewed", str(number), str(number))


def read(path: Path, redact: Redactor) -> list[Row]:
    """Return the redacted rows of a file of BANKING77."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(redact(row["text"]), row["category"], line) for line, row in enumerate(csv.DictReader(file), 2)]


def set_up(settings: Settings) -> Scene:
    """Open the champion and embed all texts."""
    folder = find_task(settings, "b77")
    champion = open_champion(settings, folder.task, version_names("b77")[0])
    redact = Redactor(folder.task.redact)
    base = [base_row(row, row.text) for row in read(data_folder() / "banking77" / "train.csv", redact)]
    test = read(data_folder() / "banking77" / "test.csv", redact)
    places = {name: place for place, name in enumerate(folder.task.label_names)}
    targets = np.array([places[str(row.label)] for row in test], dtype=np.int64)
    known, new = (champion.embed([row.text for row in rows]) for rows in (base, test))
    return Scene(folder, champion, base, known, test, new, targets)


def outcomes(scene: Scene) -> Iterator[Outcome]:
    """Yield what comes of every choice of texts, weight and pull, as means of all halves."""
    for chosen in ("wrong", "unsure"):
        for weight in WEIGHTS:
            for pull in PULLS:
                found = [outcome(scene, chosen, weight, pull, seed) for seed in range(HALVES)]
                names = [name for name in asdict(found[0]) if name not in {"chosen", "weight", "pull"}]
                means = {name: float(np.nanmean([getattr(one, name) for one in found])) for name in names}
                yield Outcome(chosen, weight, pull, **means)


def outcome(scene: Scene, chosen: str, weight: float, pull: float, seed: int) -> Outcome:
    """Learn from 30 texts of one half of the test set, and measure on the other."""
    order = np.random.default_rng(seed).permutation(len(scene.test))
    pool, held = np.split(order, [len(order) // 2])
    new = _choose(scene, pool, chosen)
    retrain = scene.folder.task.retrain.model_copy(update={"fast_weight": weight, "fast_pull": pull})
    task = scene.folder.task.model_copy(update={"retrain": retrain})
    embeddings = np.vstack([scene.base_embeddings, scene.embeddings[new]])
    rows = lay_out_rows(scene.snapshot(new), task, None, embeddings)
    head = refit(task, scene.champion.head, scene.champion.manifest.temperature, rows)
    old, now, truth = scene.old, head.logits(scene.embeddings).argmax(axis=1), scene.targets
    mistakes = {(truth[at], old[at]) for at in new if truth[at] != old[at]}
    same = np.array([at for at in held if (truth[at], old[at]) in mistakes], dtype=np.int64)
    return Outcome(
        chosen,
        weight,
        pull,
        learnt=float((now[new] == truth[new]).mean()),
        same_mistake=float((now[same] == truth[same]).mean()) if len(same) else float("nan"),
        gain=float((now[held] == truth[held]).mean() - (old[held] == truth[held]).mean()),
        changed=float((now[held] != old[held]).mean()),
        negative_flips=float(((old[held] == truth[held]) & (now[held] != truth[held])).mean()),
    )


def _choose(scene: Scene, pool: Ints, chosen: str) -> Ints:
    if chosen == "wrong":
        wrong: Ints = pool[scene.old[pool] != scene.targets[pool]]
        return wrong[:NEW]
    likely = np.sort(scene.champion.probabilities(scene.embeddings[pool]), axis=1)
    least: Ints = pool[np.argsort(likely[:, -1] - likely[:, -2])]
    return least[:NEW]


def timed(settings: Settings, scene: Scene) -> dict[str, object]:
    """Time a whole fast run, from an open snapshot to a saved version, with base rows embedded before."""
    snapshot = replace(scene.snapshot(np.arange(NEW)), gold=scene.test[NEW : NEW + 1000])
    held = find_held_out(scene.folder, scene.champion.manifest, scene.champion.folder)
    started, spent = time.perf_counter(), time.process_time()
    version = scene.champion.manifest.version
    made = learn_candidate(settings, scene.folder, snapshot, version, new_version(), "fast")
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
        "stages": {name: round(seconds, 2) for name, seconds in made.seconds.items()},
        "held_out_known": held is not None,
        "folds": None if made.folds is None else len(made.folds),
    }


def main() -> None:
    """Train, measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--champion", choices=sorted(FLAGS), default="quick")
    mode = parser.parse_args().champion
    about = machine()
    with tempfile.TemporaryDirectory() as work:
        home = Path(work)
        os.environ |= {"REGRADE_HOME": str(home), "BENTOML_HOME": str(home / "bentoml")}
        train = str(data_folder() / "banking77" / "train.csv")
        regrade(home, "train", "--data", train, "--task", "b77", *FLAGS[mode])
        settings = load_settings(home=home)
        scene = set_up(settings)
        with threadpool_limits(1):
            found = list(outcomes(scene))
        seconds = timed(settings, scene)
    show(found, seconds)
    accuracy = float((scene.old == scene.targets).mean())
    result = {"champion": mode, "accuracy": accuracy, "new": NEW, "timed": seconds, "outcomes": found}
    keep_result(f"fast-{mode}", result, about)


def show(found: list[Outcome], seconds: dict[str, object]) -> None:
    """Print the outcomes as a table."""
    table = Table(title=f"{NEW} reviewed texts; a fast run took {seconds['cpu_seconds']} s of one core")
    for column in asdict(found[0]):
        table.add_column(column.replace("_", " "), justify="left" if column == "chosen" else "right")
    for one in found:
        shares = (one.learnt, one.same_mistake, one.gain, one.changed, one.negative_flips)
        table.add_row(one.chosen, f"{one.weight:g}", f"{one.pull:g}", *(f"{share:.2%}" for share in shares))
    Console().print(table)


if __name__ == "__main__":
    main()
