"""Train one task: clean → split → learn → export → parity → certify → evaluate → save a version in the model store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.settings import Settings
from service.artifact import Manifest
from service.encoding import Encoder
from service.model_store import new_version, save_version
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.assemble import Material, assemble, lay_out
from training.clean import snapshot_hash
from training.evaluate import Evaluation
from training.examples import encode_rows
from training.learn import Lesson, learn_full, learn_quick
from training.progress import Stages
from training.report import write_report
from training.rows import RowFault
from training.sources import gather
from training.split import Division, divide
from training.trackers import track_version
from training.version import Origin, draft_manifest


@dataclass(frozen=True)
class Trained:
    """A saved version: its manifest, its report, its `evaluation` on gold (None without gold) and the rows not used.

    `faults` names rows of the training file by line, `gold_faults` rows of the gold file; `seconds` is by stage.
    """

    manifest: Manifest
    report: Path
    evaluation: Evaluation | None
    faults: list[RowFault]
    gold_faults: list[RowFault]
    seconds: dict[str, float]


def train(
    settings: Settings,
    folder: TaskFolder,
    data: Path | None = None,
    *,
    quick: bool = False,
    seed: int | None = None,
    columns: tuple[str | None, str | None] = (None, None),
    shown: bool = True,
) -> Trained:
    """Train a version of the task in `folder` and save it in the model store; nothing is promoted.

    Args:
        settings: where reports, TensorBoard logs and the store are.
        folder: the task; its `train.csv` is learnt from and its `gold.csv`, where there is one, tests the result.
        data: a CSV, JSONL or parquet file to learn from instead of `train.csv`.
        quick: fit only a linear head on the frozen encoder.
        seed: replaces the recipe's; the same seed, rows and machine give the same model.
        columns: names of the text and label columns of `data`; None is guessed.
        shown: show progress bars on standard error.

    Raises:
        DataError: the rows cannot be used.
        ModelError: the base encoder is missing, or the export is not faithful.
        TaskError: the task's `max_length` is more than the base encoder can see.
    """
    task, version = folder.task, new_version()
    with Stages(shown=shown) as stages, TemporaryDirectory(prefix="regrade-train-") as scratch:
        bench = lay_out(settings, task, version, seed, Path(scratch), stages)
        with stages.stage("clean and split"):
            sources = gather(folder, data, columns)
            division = divide(sources.rows, sources.outside, bench.recipe.seed)
            material = Material(task, sources, division, _lesson(task, division, bench.encoder))
        learned = (learn_quick if quick else learn_full)(bench, material.lesson)
        origin = Origin(
            method="quick" if quick else "full",
            base=bench.base.stated,
            recipe={**bench.recipe.model_dump(), **learned.chosen, "shares": division.shares},
            snapshot_sha256=snapshot_hash([*sources.rows, *sources.outside]),
            testable=bool(sources.gold),
        )
        draft = draft_manifest(task, version, learned.calibration.temperature, origin)
        made = Path(scratch) / "version"
        manifest, findings = assemble(made, bench, material, learned, draft)
        with stages.stage("save"):
            save_version(made)
        report = write_report(settings.reports, manifest, findings)
    track_version(settings, manifest.task, manifest.version)
    return Trained(manifest, report, findings.evaluation, sources.faults, sources.gold_faults, dict(stages.seconds))


def _lesson(task: Task, division: Division, encoder: Encoder) -> Lesson:
    """Tokenise the rows that may be learnt from."""
    return Lesson(
        encode_rows(division.rows, encoder, task.label_names),
        division.parts,
        [encoder.encode(row.text) for row in division.outside],
        len(task.labels),
    )
