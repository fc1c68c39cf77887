"""What the gate judges by, gathered: both models asked about gold, audits, past corrections and new answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import ModelError, NotFoundError
from core.settings import Settings
from feedback.measuring import count_gold_uses
from feedback.pins import list_pins
from feedback.store import Store
from service.artifact import FP32, served_bytes
from service.encoders import Encoders
from tasks.catalogue import TaskFolder
from tasks.declaration import Task
from training.clean import snapshot_hash
from training.evidence_texts import Asked, ReviewedTexts, audit_texts, gold_texts
from training.gate import Evidence
from training.kept_arrays import kept_array
from training.near import TWIN, groups
from training.paired import Ints, Pair
from training.paired_files import keep_pair
from training.plausible import NewAnswers
from training.scored import GOLD_FOLDER, Advance, Scored, Scorer
from training.snapshot_rows import Snapshot
from training.timed import TIMED_TEXTS, time_both

_MOST_PARITY = 128
_MOST_PINNED = 5


@dataclass(frozen=True)
class _Models:
    """Champion and candidate of a task, and where what they say of gold is kept."""

    task: Task
    champion: Scorer
    candidate: Scorer
    cache: Path
    advance: Advance

    def ask(self, asked: Asked) -> Pair | None:
        """Return what both say of texts; None where there are none."""
        if not len(asked):
            return None
        made = self.champion.compute(asked.texts, self.advance)
        alike = self.champion.encoder is not None and self.champion.encoder == self.candidate.encoder
        said = self.candidate.judge(*made) if alike else self.candidate.score(asked.texts, self.advance)
        return _pair(asked, groups(asked.texts, TWIN), self.champion.judge(*made), said)


@dataclass(frozen=True)
class _Gold:
    """The gold set, its near-copies, and what champion and candidate say of it."""

    asked: Asked
    groups: Ints
    champion: Scored
    candidate: Scored

    @property
    def pair(self) -> Pair:
        """What the gate compares."""
        return _pair(self.asked, self.groups, self.champion, self.candidate)


@dataclass(frozen=True)
class Contest:
    """A candidate against the champion of the task in `folder`, both by their versions.

    `snapshot` is what the candidate has learnt from, and holds the gold set that was kept out of it. `folds` are
    cross-validated answers of both recipes to base rows, where there are any.
    """

    folder: TaskFolder
    snapshot: Snapshot
    champion: str
    candidate: str
    folds: Pair | None = None


def gather_evidence(
    settings: Settings, store: Store, contest: Contest, advance: Advance = lambda _: None, *, keep: Path | None = None
) -> Evidence:
    """Ask champion and candidate about the same texts, just as they are served.

    Args:
        settings: where answers to gold are kept.
        store: what people said, and which versions are pinned.
        contest: who is compared, and what they have learnt from.
        advance: told the number of texts of each part done.
        keep: a folder for the compared answers, as `.npz` files without texts.

    Raises:
        ModelError: a file of either version is missing or changed, or cannot be loaded.
        NotFoundError: the model store does not hold one of them.
        UnavailableError: the store is away.
    """
    task, snapshot, cache = contest.folder.task, contest.snapshot, settings.home / GOLD_FOLDER
    encoders = Encoders()
    champion, candidate = (
        Scorer(task, version, cache, encoders=encoders) for version in (contest.champion, contest.candidate)
    )
    models = _Models(task, champion, candidate, cache, advance)
    asked = gold_texts(task, snapshot.gold)
    gold = _ask_gold(models, asked, gold_groups(settings, asked))
    pinned = _best_pinned(models, gold, contest, [one.version for one in list_pins(store, task.name)])
    reviewed = ReviewedTexts(store, task, snapshot, champion.classifier.manifest.snapshot_sha256)
    gold_sha256 = snapshot_hash(snapshot.gold)
    timed = [row.text for row in snapshot.rows[:TIMED_TEXTS]]
    champion_ms, candidate_ms = time_both(champion.classifier, candidate.classifier, timed)
    parity, parity_rows = _parity(models, gold)
    evidence = Evidence(
        gold=gold.pair,
        folds=contest.folds,
        audit=models.ask(audit_texts(store, task, snapshot)),
        corrections=models.ask(reviewed.corrections()),
        ancestor=None if pinned is None else _pair(gold.asked, gold.groups, pinned[1], gold.candidate),
        parity=parity,
        parity_rows=parity_rows,
        champion_ms=champion_ms,
        candidate_ms=candidate_ms,
        champion_bytes=served_bytes(champion.folder),
        candidate_bytes=served_bytes(candidate.folder),
        gold_uses=count_gold_uses(store, task.name, gold_sha256),
        labels=task.label_names,
        answers=_new_answers(models, gold, reviewed),
        gold_sha256=gold_sha256,
        ancestor_version=None if pinned is None else pinned[0],
    )
    if keep is not None:
        keep_evidence(evidence, keep)
    return evidence


def keep_evidence(evidence: Evidence, folder: Path) -> None:
    """Write each part that was compared to `NAME.npz` in `folder`: ids, targets and answers, no text."""
    for name in ("gold", "folds", "audit", "corrections", "ancestor"):
        keep_pair(folder / f"{name}.npz", getattr(evidence, name))


def gold_groups(settings: Settings, asked: Asked) -> Ints:
    """Return the group of near-copies of each gold text, `(n,)`; they are worked out once for the same texts."""
    return kept_array(settings.home / "cache" / "groups", (asked.texts,), lambda: groups(asked.texts, TWIN))


def _ask_gold(models: _Models, asked: Asked, alike: Ints) -> _Gold:
    said = [model.score_gold(asked.texts, models.advance) for model in (models.champion, models.candidate)]
    return _Gold(asked, alike, said[0], said[1])


def _best_pinned(models: _Models, gold: _Gold, contest: Contest, versions: Sequence[str]) -> tuple[str, Scored] | None:
    """Return the pinned version that has most gold rows right, of the latest five that can still be loaded.

    None where no version but champion and candidate is pinned, or there is no gold set.
    """
    found = []
    for version in sorted(set(versions) - {contest.champion, contest.candidate})[-_MOST_PINNED:]:
        try:
            said = Scorer(models.task, version, models.cache).score_gold(gold.asked.texts, models.advance)
        except (NotFoundError, ModelError):
            continue  # it was deleted by hand, or is of another release: nothing can be held against it
        found.append((int((said.chosen == gold.asked.targets).sum()), version, said))
    best = max(found, key=lambda one: one[:2], default=None) if len(gold.asked) else None
    return best and (best[1], best[2])


def _parity(models: _Models, gold: _Gold) -> tuple[float, int]:
    """Return the share of up to 128 gold texts to which the candidate's int8 and fp32 graphs give one label.

    And the number of texts; without a gold set 1 and 0.
    """
    rows = np.arange(len(gold.asked))[:: max(1, len(gold.asked) // _MOST_PARITY)][:_MOST_PARITY]
    if not len(rows):
        return 1.0, 0
    exact = Scorer(models.task, models.candidate.version, file=FP32)
    found = exact.score([gold.asked.texts[row] for row in rows], models.advance)
    return float((found.chosen == gold.candidate.chosen[rows]).mean()), len(rows)


def _new_answers(models: _Models, gold: _Gold, reviewed: ReviewedTexts) -> NewAnswers | None:
    """Hold what people newly said against the champion; labels that it does not know are left out.

    None where there is nothing new.
    """
    asked, drawn = reviewed.new()
    if not len(asked):
        return None
    said = models.champion.score(asked.texts, models.advance)
    rows = np.flatnonzero((asked.targets >= 0) & models.champion.known[asked.targets])
    wrong = np.flatnonzero((gold.asked.targets >= 0) & (gold.champion.chosen != gold.asked.targets))
    return NewAnswers(
        confidence=said.confidence[rows],
        given=said.probabilities[rows, asked.targets[rows]],
        contradicts=said.chosen[rows] != asked.targets[rows],
        drawn=drawn[rows],
        mistakes=gold.champion.probabilities[wrong, gold.asked.targets[wrong]],
    )


def _pair(asked: Asked, alike: Ints, champion: Scored, candidate: Scored) -> Pair:
    return Pair(asked.ids, alike, asked.targets, champion.said(), candidate.said(), asked.weights)
