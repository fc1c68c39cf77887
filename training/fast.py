"""The fast way: the champion's encoder stays, and its head is fitted anew on embeddings that are mostly known already.

Base rows are replayed with the champion's own answers as their targets, so that they hold everything else in place;
rows that people answered bring what they said, and those that no label covers an even share for every label (outlier
exposure: Hendrycks, Mazeika and Dietterich 2019). Temperature and out-of-scope curve stay as they are: they were fitted
on rows that the encoder had not seen, of which there are no new ones, and the head's scale hardly changes. Thresholds
are certified anew, on the champion's own held-out rows. It needs no torch, and takes seconds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.settings import Settings
from service.artifact import NOTICE, SCOPE, TOKENIZER, Manifest, read_metrics, write_manifest
from service.classifier import Classified, Scores, softmax
from service.head import Head
from service.runner import Floats
from service.scope import ScopeStatistics, load_scope
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.calibrate import describe
from training.champion import Champion, open_champion
from training.evaluate import Evaluation, compare, rows_known
from training.fast_rows import FastRows, lay_out_rows
from training.fitted import Fitted
from training.graph_head import put_head
from training.head import refit_head
from training.held_out import HeldOut, find_held_out, keep_held_out
from training.paired import OUTSIDE
from training.parity import Parity, check_parity
from training.progress import Stages
from training.risk import FIXED_PATH, Answers, Reals, Thresholds
from training.scope_fit import Curve, fit_statistics
from training.snapshot_rows import Snapshot
from training.snapshot_table import sources_of
from training.thresholds import certified
from training.version import Findings, Origin, draft_manifest, seal

_PARITY_ROWS = 32


@dataclass(frozen=True)
class Fast:
    """What a fast run works on: the champion of the task in `folder`, what it held out, and the snapshot's rows."""

    folder: TaskFolder
    snapshot: Snapshot
    champion: Champion
    held: HeldOut | None
    rows: FastRows

    @property
    def task(self) -> Task:
        """The task."""
        return self.folder.task


@dataclass(frozen=True)
class _Model:
    """The new head on the champion's encoder, with its statistics: what the finished files will say."""

    head: Head
    statistics: ScopeStatistics
    temperature: float

    def score(self, embeddings: Floats) -> Scores:
        logits = self.head.logits(embeddings)
        return Scores(softmax(logits.copy(), self.temperature), self.statistics.scores(embeddings, logits))


def begin_fast(settings: Settings, folder: TaskFolder, snapshot: Snapshot, champion: str, stages: Stages) -> Fast:
    """Open the version `champion` and embed what of `snapshot` it has not met before.

    Raises:
        DataError: fewer than two labels have a row.
        ModelError: the champion is damaged, or does not fit the task as it is declared today.
        NotFoundError: the model store does not hold it.
    """
    rows = [*snapshot.rows, *snapshot.outside]
    with stages.stage("open the live version"):
        opened = open_champion(settings, folder.task, champion)
        held = find_held_out(folder, opened.manifest, opened.folder)
    with stages.stage("embed", len(rows)) as advance:
        embeddings = opened.embed([row.text for row in rows], advance)
    with stages.stage("lay out rows"):
        laid_out = lay_out_rows(snapshot, folder.task, held, embeddings)
    return Fast(folder, snapshot, opened, held, laid_out)


def learn_fast(fast: Fast, version: str, made: Path, stages: Stages) -> Manifest:
    """Write `version` into the folder `made`: the champion with a head that has learnt from the snapshot.

    Raises:
        ModelError: the graphs do not say what the new head says.
    """
    champion, rows = fast.champion, fast.rows
    with stages.stage("fit the head"):
        head = refit(fast.task, champion.head, champion.manifest.temperature, rows)
    with stages.stage("write the graphs"):
        parity = _build(made, champion, rows, head)
    with stages.stage("scope statistics"):
        model = _Model(head, _statistics(fast), champion.manifest.temperature)
        model.statistics.save(made / SCOPE)
    with stages.stage("certify"):
        fitted, thresholds = _certified(fast, model)
    with stages.stage("evaluate on gold"):
        evaluation = _on_gold(fast, model)
    keep_held_out(made, fast.held or HeldOut())
    draft = _draft(fast, version)
    write_manifest(made, draft)
    sources = sources_of(fast.snapshot, fast.task)
    findings = Findings(sources, rows.division, fitted, parity, thresholds, evaluation, stages.seconds)
    return _with_drift(seal(made, draft, findings), champion, made)


def refit(task: Task, old: Head, temperature: float, rows: FastRows) -> Head:
    """Return the head that keeps to the answers of `old`, at its `temperature`, but for what people said in `rows`."""
    table, learn = rows.table, rows.learn
    own = softmax(old.logits(rows.embeddings), temperature)
    targets = np.where(table.reviewed[:, None], table.soft, own).astype(np.float32)
    return refit_head(
        old,
        rows.embeddings[learn],
        targets[learn],
        table.weights[learn],
        temperature=temperature,
        pull=task.retrain.fast_pull,
    )


def is_frozen(manifest: Manifest) -> bool:
    """Tell whether a version's encoder is the base encoder as it is, which has never been fitted to the task."""
    return manifest.method == "quick" or bool(manifest.recipe.get("frozen_encoder"))


def _build(made: Path, champion: Champion, rows: FastRows, head: Head) -> Parity:
    """Write the graphs and what is the champion's, and check that the graphs hold the head."""
    made.mkdir(parents=True)
    put_head(champion.folder, made, head)
    for name in (TOKENIZER, NOTICE):
        shutil.copyfile(champion.folder / name, made / name)
    step = max(1, len(rows.rows) // _PARITY_ROWS)
    encodings = [champion.encoder.encode(row.text) for row in rows.rows[::step][:_PARITY_ROWS]]
    exact = champion.exact(encodings)
    return check_parity(head.logits(exact), made, champion.encoder, encodings, champion.manifest.temperature)


def _statistics(fast: Fast) -> ScopeStatistics:
    """Return the champion's statistics with what is new in them; as they are where nobody knows what they hold."""
    old, rows, task = load_scope(fast.champion.folder / SCOPE), fast.rows, fast.task
    if fast.held is None:
        return old
    found = fit_statistics(rows.embeddings[rows.scope], rows.table.targets[rows.scope], len(task.labels))
    return replace(found, middle=old.middle, spread=old.spread, relief=old.relief)


def _certified(fast: Fast, model: _Model) -> tuple[Fitted, Thresholds]:
    """Choose thresholds on the rows that certify, along the path that was declared for the champion without them."""
    rows, task = fast.rows, fast.task
    at = np.flatnonzero(rows.certify)
    scores, targets = model.score(rows.embeddings[at]), rows.table.targets[at]
    own = targets != OUTSIDE
    figures = read_metrics(fast.champion.folder)
    logits = model.head.logits(rows.embeddings[at])[own]
    wrong = scores.probabilities[own].argmax(axis=1) != targets[own]
    fitted = Fitted(
        calibration=describe(logits, targets[own], model.temperature),
        curve=_curve(figures, model.statistics),
        held_out=Answers(scores.probabilities[own].max(axis=1), scores.out_of_scope[own], np.asarray(wrong)),
        chosen={},
        on_all_rows=True,
    )
    return fitted, certified(task, _path(figures), [str(rows.rows[one].label) for one in at], scores)


def _path(figures: dict[str, Any]) -> Reals:
    declared = figures.get("trade_off", {}).get("trust") or []
    return np.array(declared, dtype=np.float64) if declared else FIXED_PATH


def _curve(figures: dict[str, Any], statistics: ScopeStatistics) -> Curve:
    told = figures.get("out_of_scope_curve", {})
    shape = (statistics.middle, statistics.spread, statistics.relief)
    auroc = told.get("auroc")
    counts = (int(told.get("n_inside", 0)), int(told.get("n_outside", 0)))
    return Curve(*shape, float("nan") if auroc is None else float(auroc), *counts)


def _on_gold(fast: Fast, model: _Model) -> Evaluation | None:
    """Judge the new head on gold; None without a gold set."""
    gold = fast.snapshot.gold
    if not gold:
        return None
    known = rows_known(gold, fast.task.label_names, fast.task.name)
    texts = [row.text for row in known]
    scores = model.score(fast.champion.embed(texts))
    truncated = [fast.champion.encoder.encode(text).truncated for text in texts]
    found = compare(known, Classified(scores, truncated), fast.task.label_names, 0.0)
    return replace(found, unknown=len(gold) - len(known))


def _draft(fast: Fast, version: str) -> Manifest:
    old, retrain = fast.champion.manifest, fast.task.retrain
    recipe = {
        "champion": old.version,
        "fast_weight": retrain.fast_weight,
        "fast_pull": retrain.fast_pull,
        "frozen_encoder": is_frozen(old),
        "strength": old.recipe.get("strength"),
    }
    origin = Origin("fast", old.base, recipe, fast.snapshot.sha256, testable=bool(fast.snapshot.gold))
    return draft_manifest(fast.task, version, old.temperature, origin)


def _with_drift(manifest: Manifest, champion: Champion, made: Path) -> Manifest:
    """Return `manifest` with the champion's limit of usual out-of-scope scores, if there were no rows for its own."""
    if manifest.drift_from is not None or champion.manifest.drift_from is None:
        return manifest
    found = manifest.model_copy(update={"drift_from": champion.manifest.drift_from})
    write_manifest(made, found)
    return found
