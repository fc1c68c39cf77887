"""From a network that was learnt to a finished version: export, parity, scope statistics, certificate, gold, manifest.

`regrade train` and full runs of the retraining job differ in where their rows come from, and in nothing else.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import TaskError
from core.settings import Settings
from service.artifact import NOTICE, SCOPE, TOKENIZER, Manifest, write_manifest
from service.classifier import load_classifier
from service.encoding import load_encoder
from tasks.declaration import Task
from training.base import resolve_base
from training.evaluate import Evaluation, evaluate
from training.export import export_graphs
from training.held_out import held_out_of, keep_held_out
from training.learn import Bench, Learned, Lesson
from training.model import positions_of
from training.network_inference import run_network
from training.parity import MOST_ROWS, Parity, check_parity
from training.progress import Stages
from training.risk import Thresholds, declare_path
from training.scope_fit import fit_statistics, with_curve
from training.sources import Sources
from training.split import Division
from training.thresholds import certified
from training.version import Findings, seal


@dataclass(frozen=True)
class Material:
    """What a version of `task` is made from: the rows as they were given, as they were divided, and as a lesson."""

    task: Task
    sources: Sources
    division: Division
    lesson: Lesson


def lay_out(settings: Settings, task: Task, version: str, seed: int | None, scratch: Path, stages: Stages) -> Bench:
    """Return what learning works with; `seed` replaces the recipe's.

    Raises:
        ModelError: the base encoder is missing.
        TaskError: the task's `max_length` is more than the base encoder can see.
    """
    base = resolve_base(task.base)
    most = positions_of(base.folder)
    if task.max_length > most:
        raise TaskError(f"max_length of {task.name} is {task.max_length}, but {task.base} sees at most {most} tokens")
    encoder = load_encoder(base.folder / TOKENIZER, task.max_length)
    recipe = task.training if seed is None else task.training.model_copy(update={"seed": seed})
    return Bench(base, encoder, recipe, scratch, settings.home / "tensorboard" / task.name / version, stages)


def assemble(
    made: Path, bench: Bench, material: Material, learned: Learned, draft: Manifest
) -> tuple[Manifest, Findings]:
    """Write the whole version into the folder `made`, and return what is to be said of it.

    Raises:
        ModelError: the export is not faithful.
    """
    stages = bench.stages
    parity = _build(made, bench, material.lesson, learned)
    write_manifest(made, draft)
    thresholds = _certified(made, material, learned, stages)
    evaluation = _on_gold(made, material.sources, stages)
    keep_held_out(made, held_out_of(material.division, on_all_rows=learned.on_all_rows))
    findings = Findings(material.sources, material.division, learned, parity, thresholds, evaluation, stages.seconds)
    return seal(made, draft, findings), findings


def _build(made: Path, bench: Bench, lesson: Lesson, learned: Learned) -> Parity:
    """Write the version's files into `made`, all but manifest and metrics, and check the graphs."""
    with bench.stages.stage("export"):
        export_graphs(learned.network, made)
    with bench.stages.stage("parity"):
        rows = lesson.examples.take(_parity_rows(lesson)).encodings
        logits = run_network(learned.network, bench.encoder, rows).logits
        parity = check_parity(logits, made, bench.encoder, rows, learned.calibration.temperature)
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


def _certified(made: Path, material: Material, learned: Learned, stages: Stages) -> Thresholds:
    """Choose thresholds by what the finished files say, as the service would, of rows that served for nothing else."""
    task, rows = material.task, material.division.certification
    with stages.stage("certify", len(rows)) as advance:
        scores = load_classifier(made, verify=False).classify([row.text for row in rows], progress=advance).scores
        path = declare_path(learned.held_out, len(rows), task.triage.max_error, task.triage.confidence)
        return certified(task, path, [str(row.label) for row in rows], scores)


def _on_gold(made: Path, sources: Sources, stages: Stages) -> Evaluation | None:
    """Judge the finished files as the service would; None without a gold set."""
    if not sources.gold:
        return None
    with stages.stage("evaluate on gold", len(sources.gold)) as advance:
        texts = [row.text for row in sources.rows]
        return evaluate(load_classifier(made, verify=False), sources.gold, texts, advance)
