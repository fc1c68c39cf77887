"""Train one task: clean → split → learn → export → parity → certify → evaluate → save a version in the model store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from core.errors import TaskError
from core.settings import Settings
from service.artifact import NOTICE, SCOPE, TOKENIZER, Manifest, write_manifest
from service.classifier import load_classifier
from service.encoding import Encoder, load_encoder
from service.model_store import new_version, save_version
from tasks.catalogue import TaskFolder
from tasks.declaration import OUT_OF_SCOPE, Task
from training.base import resolve_base
from training.evaluate import Evaluation, evaluate
from training.examples import encode_rows
from training.export import export_graphs
from training.learn import Bench, Learned, Lesson, learn_full, learn_quick
from training.model import positions_of
from training.parity import MOST_ROWS, Parity, check_parity
from training.progress import Stages
from training.report import write_report
from training.risk import Answers, Thresholds, choose_thresholds, declare_path
from training.rows import RowFault
from training.scope_fit import fit_statistics, with_curve
from training.sources import Sources, gather
from training.split import Division, divide
from training.version import Findings, draft_manifest, seal


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
        made = Path(scratch) / "version"
        bench = _bench(settings, task, version, seed, Path(scratch), stages)
        with stages.stage("clean and split"):
            sources = gather(folder, data, columns)
            division = divide(sources.rows, sources.outside, bench.recipe.seed)
            lesson = _lesson(task, division, bench.encoder)
        learned = (learn_quick if quick else learn_full)(bench, lesson)
        parity = _build(made, bench, lesson, learned)
        draft = draft_manifest(task, version, bench, sources, division, learned, quick=quick)
        write_manifest(made, draft)
        thresholds = _certified(made, task, division, learned, stages)
        evaluation = _on_gold(made, sources, stages)
        findings = Findings(sources, division, learned, parity, thresholds, evaluation, stages.seconds)
        manifest = seal(made, draft, findings)
        with stages.stage("save"):
            save_version(made)
        report = write_report(settings.reports, manifest, findings)
    return Trained(manifest, report, evaluation, sources.faults, sources.gold_faults, dict(stages.seconds))


def _bench(settings: Settings, task: Task, version: str, seed: int | None, scratch: Path, stages: Stages) -> Bench:
    """Lay out what learning works with."""
    base = resolve_base(task.base)
    most = positions_of(base.folder)
    if task.max_length > most:
        raise TaskError(f"max_length of {task.name} is {task.max_length}, but {task.base} sees at most {most} tokens")
    encoder = load_encoder(base.folder / TOKENIZER, task.max_length)
    recipe = task.training if seed is None else task.training.model_copy(update={"seed": seed})
    return Bench(base, encoder, recipe, scratch, settings.home / "tensorboard" / task.name / version, stages)


def _lesson(task: Task, division: Division, encoder: Encoder) -> Lesson:
    """Tokenise the rows that may be learnt from."""
    return Lesson(
        encode_rows(division.rows, encoder, task.label_names),
        division.parts,
        [encoder.encode(row.text) for row in division.outside],
        len(task.labels),
    )


def _build(made: Path, bench: Bench, lesson: Lesson, learned: Learned) -> Parity:
    """Write the version's files into `made`, all but manifest and metrics, and check the graphs."""
    with bench.stages.stage("export"):
        export_graphs(learned.network, made)
    with bench.stages.stage("parity"):
        rows = lesson.examples.take(_parity_rows(lesson)).encodings
        parity = check_parity(learned.network, made, bench.encoder, rows, learned.calibration.temperature)
    # Rows that the network has not seen lie further out than those it was fitted on: they are kept out of the
    # statistics, as they were when the curve was fitted.
    fitted = lesson.examples if learned.on_all_rows else lesson.part("train")
    served = bench.served(made, fitted.encodings, "scope statistics")
    statistics = fit_statistics(served.embeddings, fitted.targets, lesson.n_labels)
    with_curve(statistics, learned.curve).save(made / SCOPE)
    shutil.copyfile(bench.base.folder / TOKENIZER, made / TOKENIZER)
    (made / NOTICE).write_text(bench.base.notice, encoding="utf-8")
    return parity


def _parity_rows(lesson: Lesson) -> list[int]:
    """Return the positions of up to 512 rows: those held out first, then training rows from all over the file."""
    train = lesson.parts["train"]
    chosen = [*lesson.parts["calibration"], *lesson.parts["validation"]][:MOST_ROWS]
    room = MOST_ROWS - len(chosen)
    return chosen + (train[:: max(1, -(-len(train) // room))] if room else [])


def _certified(made: Path, task: Task, division: Division, learned: Learned, stages: Stages) -> Thresholds:
    """Choose thresholds by what the finished files say, as the service would, of rows that served for nothing else."""
    rows, asked = division.certification, (task.triage.max_error, task.triage.confidence)
    with stages.stage("certify", len(rows)) as advance:
        scores = load_classifier(made, verify=False).classify([row.text for row in rows], progress=advance).scores
        names = np.array(task.label_names)[scores.probabilities.argmax(axis=1)]
        wrong = names != np.array([row.label for row in rows], dtype=str)
        answers = Answers(scores.probabilities.max(axis=1), scores.out_of_scope, wrong)
        outside = sum(row.label == OUT_OF_SCOPE for row in rows)
        return choose_thresholds(declare_path(learned.held_out, len(rows), *asked), answers, outside, *asked)


def _on_gold(made: Path, sources: Sources, stages: Stages) -> Evaluation | None:
    """Judge the finished files as the service would; None without a gold set."""
    if not sources.gold:
        return None
    with stages.stage("evaluate on gold", len(sources.gold)) as advance:
        texts = [row.text for row in sources.rows]
        return evaluate(load_classifier(made, verify=False), sources.gold, texts, advance)
