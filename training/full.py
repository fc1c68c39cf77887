"""The full way: fine-tune an encoder on everything that a snapshot holds, base data and people's answers together.

`[retrain] blend` mixes the champion's own probabilities into what is learnt of rows that it has right: distillation
(Hinton, Vinyals and Dean 2015), on those rows only, which keeps answers right that were (Yan et al. 2021,
"Positive-congruent training", whose loss looks at them most).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import ConflictError
from core.settings import Settings
from service.artifact import Manifest, read_manifest
from service.model_store import save_version, version_folder
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.assemble import Material, assemble, lay_out
from training.champion import open_champion
from training.examples import Examples, encode_rows, weigh
from training.held_out import HeldOut, divide_as_before, find_held_out
from training.learn import Bench, Lesson, learn_full
from training.progress import Stages
from training.report import report_file, write_report
from training.snapshot_rows import Snapshot, SnapshotRow
from training.snapshot_table import sources_of, table_of
from training.split import Division, divide
from training.version import Origin, draft_manifest

_MOST_ANSWERED = 0.5
"""Share of the rows that people answered up to which all of these are learnt from, and base data alone is held out."""


def learn_full_version(
    settings: Settings,
    folder: TaskFolder,
    snapshot: Snapshot,
    champion: str | None,
    version: str,
    scratch: Path,
    stages: Stages,
) -> tuple[Manifest, Path]:
    """Learn, save and report `version`; return its manifest and the path of its report."""
    task = folder.task
    start = _start(folder, champion) if task.retrain.start == "champion" else None
    bench = lay_out(settings, task, version, None, scratch, stages)
    with stages.stage("split"):
        sources = sources_of(snapshot, task)
        answered = learnt_anyway(snapshot)
        if start is None:
            division = divide(sources.rows, sources.outside, bench.recipe.seed, answered)
        else:
            bench = replace(bench, start=start.folder)
            division = divide_as_before(sources.rows, sources.outside, start.held, answered)
        lesson = _lesson(task, snapshot, division, bench)
    if task.retrain.blend:
        lesson = _blended(settings, task, champion, lesson, stages)
    learned = learn_full(bench, lesson)
    told = {"champion": champion, **task.retrain.model_dump(include={"start", "blend", "reviewed_weight"})}
    origin = Origin(
        method="full",
        base=bench.base.stated,
        recipe={**bench.recipe.model_dump(), **learned.chosen, "shares": division.shares, **told},
        snapshot_sha256=snapshot.sha256,
        testable=bool(snapshot.gold),
    )
    draft = draft_manifest(task, version, learned.calibration.temperature, origin)
    made = scratch / "version"
    manifest, findings = assemble(made, bench, Material(task, sources, division, lesson), learned, draft)
    with stages.stage("save"):
        save_version(made)
    return manifest, write_report(settings.reports, manifest, findings)


@dataclass(frozen=True)
class _Start:
    """The `folder` of the version to start from, and what its encoder has never seen."""

    folder: Path
    held: HeldOut


def _start(folder: TaskFolder, champion: str | None) -> _Start:
    """Return the champion to start from.

    What it has seen can neither say when to stop nor how sure to be, so that it must have left something out.
    """
    task, told = folder.task.name, 'set `start = "base"` in [retrain]'
    if champion is None:
        raise ConflictError(f"{task} has no live version to start from; {told}")
    place = version_folder(task, champion)
    held = find_held_out(folder, read_manifest(place), place)
    if held is None or not held.unfitted:
        raise ConflictError(
            f"the encoder of {champion} has seen every row of {task} that could calibrate a new one; {told}, or train "
            "it with `refit = false` in [training]"
        )
    return _Start(place, held)


def report_of(settings: Settings, manifest: Manifest) -> Path | None:
    """Return the report of a version that was saved before; None where it was killed before it was written."""
    path = report_file(settings.reports, manifest)
    return path if path.exists() else None


def learnt_anyway(snapshot: Snapshot) -> frozenset[int]:
    """Return the positions of rows that must not be held out: people's answers, where base data is half of the rows.

    With less base data it could not be told when to stop, nor how sure to be.
    """
    answered = [at for at, row in enumerate(snapshot.rows) if row.source == "reviewed"]
    return frozenset(answered if len(answered) <= _MOST_ANSWERED * len(snapshot.rows) else ())


def _lesson(task: Task, snapshot: Snapshot, division: Division, bench: Bench) -> Lesson:
    """Tokenise the rows that may be learnt from, with what is known of each: how sure it is, and how heavy."""
    known = [_of(snapshot, row.line) for row in division.rows]
    table = table_of(known, task, task.retrain.reviewed_weight)
    examples = encode_rows(division.rows, bench.encoder, task.label_names)
    outside = [bench.encoder.encode(row.text) for row in division.outside]
    return Lesson(weigh(examples, table.soft, table.weights), division.parts, outside, len(task.labels))


def _of(snapshot: Snapshot, line: int) -> SnapshotRow:
    """Return the row that `sources_of` called by `line`."""
    return snapshot.rows[line - 1]


def _blended(settings: Settings, task: Task, champion: str | None, lesson: Lesson, stages: Stages) -> Lesson:
    """Return `lesson` with the champion's share in what is learnt of the rows that it has right."""
    if champion is None:
        raise ConflictError(f"{task.name} has no live version to blend with; set `blend = 0` in [retrain]")
    examples = lesson.examples
    opened = open_champion(settings, task, champion)
    with stages.stage("ask the live version", len(examples)) as advance:
        own = opened.probabilities(opened.embed([encoding.text for encoding in examples.encodings], advance))
    soft = np.eye(lesson.n_labels, dtype=np.float32)[examples.targets] if examples.soft is None else examples.soft
    right = own.argmax(axis=1) == examples.targets
    share = np.where(right, task.retrain.blend, 0.0)[:, None].astype(np.float32)
    mixed = Examples(examples.encodings, examples.targets, (1 - share) * soft + share * own, examples.weights)
    return replace(lesson, examples=mixed)
