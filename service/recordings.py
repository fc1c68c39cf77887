"""What is remembered of a request's predictions: from judged texts to facts, and to items where there is doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from core.demo import DEMO_SUBJECT
from core.roles import Caller
from feedback.facts import NewItem, NewText, Recording
from feedback.new_items import new_item
from feedback.texts import new_text
from service.artifact import Manifest
from service.requests import PredictRequest
from service.triage import Triage, Triaged
from tasks.declaration import Task

SUGGESTIONS = 5
"""Labels suggested to people at most."""

LEAST_SCORES = 3
"""Scores remembered at least, however few the caller asked for."""

_VERSIONS = 2
"""Versions of a task that may answer at the same time."""


class Recordings:
    """Decides, for one worker, of which predictions a person is asked, and puts together what is remembered."""

    def __init__(self, random: Random, workers: int) -> None:
        """Draw from `random`; `workers` processes share the traffic."""
        self._random = random
        self._workers = workers
        self._triage: dict[tuple[str, bool], dict[str, Triage]] = {}

    def of(
        self,
        task: Task,
        manifest: Manifest,
        request: PredictRequest,
        caller: Caller,
        said: Sequence[tuple[dict[str, Any], str]],
    ) -> list[Recording]:
        """Return the facts of one request, in the order of `said`: predictions as replied, each with its text."""
        triage = self._triage_of(task, manifest, demo=request.subject == DEMO_SUBJECT)
        language = request.language or task.only_language
        now = datetime.now(UTC)
        recordings = []
        for prediction, content in said:
            decided = triage.decide(prediction["label"], prediction["confidence"], prediction["out_of_scope"])
            text = new_text(prediction["id"], content, request.subject, now)
            scores = tuple((score["label"], score["score"]) for score in prediction["scores"])
            recordings.append(
                Recording(
                    id=prediction["id"],
                    task=task.name,
                    version=manifest.version,
                    revision=manifest.revision,
                    label=prediction["label"],
                    labels=prediction["labels"],
                    confidence=prediction["confidence"],
                    scores=scores,
                    out_of_scope=prediction["out_of_scope"],
                    truncated=prediction["truncated"],
                    text=text,
                    language=language,
                    metadata=request.metadata,
                    key_id=caller.key_id,
                    inclusion=decided.inclusion,
                    item=self._item(task, manifest.revision, text, scores, language, decided),
                    created_at=now,
                )
            )
        return recordings

    def _triage_of(self, task: Task, manifest: Manifest, *, demo: bool) -> Triage:
        """Return the triage of a version of the task; another one's knows the traffic, and shares the budget with it.

        Two are kept, as a candidate on trial answers beside the champion. Demo texts have their own, so that they take
        nothing from the budget of the others.
        """
        known = self._triage.setdefault((task.name, demo), {})
        found = known.get(manifest.version)
        if found is None:
            other = next(iter(known.values()), None)
            found = other.beside(manifest) if other else self._new_triage(task, manifest)
            if len(known) == _VERSIONS:
                del known[next(iter(known))]
            known[manifest.version] = found
        return found

    def _new_triage(self, task: Task, manifest: Manifest) -> Triage:
        return Triage(manifest, task.triage, self._random, workers=self._workers)

    def _item(
        self,
        task: Task,
        revision: int,
        text: NewText,
        scores: tuple[tuple[str, float], ...],
        language: str | None,
        decided: Triaged,
    ) -> NewItem | None:
        """Return what is asked about a prediction under the revision of the version that made it, if anything is."""
        if decided.reason is None:
            return None
        hidden = self._random.random() < task.review.hide_suggestions
        suggestions = scores[:SUGGESTIONS]
        item = new_item(
            task, text, decided.reason, decided.urgency, suggestions=suggestions, language=language, hidden=hidden
        )
        return replace(item, revision=revision)
