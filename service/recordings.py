"""What is remembered of a request's predictions: from judged texts to facts, and to items where there is doubt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from core.ids import new_id
from core.near_key import near_key
from core.roles import Caller
from feedback.facts import NewItem, NewText, Reason, Recording
from feedback.intake import first_asked
from feedback.texts import new_text
from service.artifact import Manifest
from service.requests import PredictRequest
from service.triage import Triage
from tasks.declaration import Task

SUGGESTIONS = 5
"""Labels suggested to people at most."""

LEAST_SCORES = 3
"""Scores remembered at least, however few the caller asked for."""


class Recordings:
    """Decides, for one worker, of which predictions a person is asked, and puts together what is remembered."""

    def __init__(self, random: Random, workers: int) -> None:
        """Draw from `random`; `workers` processes share the traffic."""
        self._random = random
        self._workers = workers
        self._triage: dict[str, tuple[str, Triage]] = {}

    def of(
        self,
        task: Task,
        manifest: Manifest,
        request: PredictRequest,
        caller: Caller,
        said: Sequence[tuple[dict[str, Any], str]],
    ) -> list[Recording]:
        """Return the facts of one request, in the order of `said`: predictions as replied, each with its text."""
        triage = self._triage_of(task, manifest)
        language = request.language or (task.languages[0] if len(task.languages) == 1 else None)
        now = datetime.now(UTC)
        recordings = []
        for prediction, content in said:
            decided = triage.decide(prediction["label"], prediction["confidence"], prediction["out_of_scope"])
            text = new_text(prediction["id"], content, request.subject, now)
            scores = tuple((score["label"], score["score"]) for score in prediction["scores"])
            item = decided.reason and self._item(
                task, manifest, text, scores, language, decided.reason, decided.urgency
            )
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
                    item=item or None,
                    created_at=now,
                )
            )
        return recordings

    def _triage_of(self, task: Task, manifest: Manifest) -> Triage:
        """Return the task's triage, renewed where another version answers now: what it knows of the traffic stays."""
        version, triage = self._triage.get(task.name, (None, None))
        if triage is None:
            triage = Triage(manifest, task.triage, self._random, workers=self._workers)
        elif version != manifest.version:
            triage.renew(manifest)
        self._triage[task.name] = manifest.version, triage
        return triage

    def _item(
        self,
        task: Task,
        manifest: Manifest,
        text: NewText,
        scores: tuple[tuple[str, float], ...],
        language: str | None,
        reason: Reason,
        urgency: float,
    ) -> NewItem:
        stage, wanted = first_asked(task.review)
        return NewItem(
            id=new_id(),
            task=task.name,
            text_id=text.id,
            text_sha256=text.sha256,
            revision=manifest.revision,
            reason=reason,
            suggestions=scores[:SUGGESTIONS],
            language=language,
            urgency=urgency,
            cluster=near_key(scores[0][0], text.content),
            hidden=self._random.random() < task.review.hide_suggestions,
            stage=stage,
            wanted=wanted,
            created_at=text.created_at,
        )
