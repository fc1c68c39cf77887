"""The candidates on trial in this worker: loaded, warmed and checked as live versions are, gone with their trial."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import random

from core.errors import NotFoundError, RunnerError
from feedback.trials import Trial
from service.classifier import Classifier
from service.trial_counts import TrialCounts

logger = logging.getLogger("regrade.trials")

Load = Callable[[str, str], Classifier]
"""Loads and warms a version of a task."""

MOST_FAILURES = 10
"""Requests in a row at which a candidate may fail; then a worker asks it no more in that step of its trial."""

_BITS = 64


@dataclass(slots=True)
class OnTrial:
    """A trial that goes on, with its candidate, which failed at the last so many requests.

    `over` once it goes on no more in this worker.
    """

    trial: Trial
    candidate: Classifier
    over: bool = False
    failures: int = 0

    def answers(self, routing_key: str | None) -> bool:
        """Tell whether the candidate answers a request of this key; without one, chance says so."""
        if self.failures >= MOST_FAILURES:
            return False
        if routing_key is None:
            return random() < self.trial.share  # noqa: S311 - chance for sampling, not for secrets
        return place_of(self.trial.id, routing_key) < self.trial.share


def place_of(trial_id: str, routing_key: str) -> float:
    """Return where a key stands in a trial, 0 to 1 and always the same: below a share, and so below larger ones."""
    digest = blake2b(f"{trial_id}\0{routing_key}".encode(), digest_size=_BITS // 8).digest()
    return float(int.from_bytes(digest) / 2**_BITS)


class Candidates:
    """What this worker knows of trials; read by the event loop, and renewed by the thread that loads models."""

    def __init__(self, load: Load, counts: TrialCounts) -> None:
        """Know of none yet."""
        self._load = load
        self._counts = counts
        self._open: Mapping[str, OnTrial] = {}
        self._missing: set[str] = set()
        self._refused: set[str] = set()

    def of(self, task: str) -> OnTrial | None:
        """Return what is on trial for `task` in this worker, or None."""
        return self._open.get(task)

    @property
    def versions(self) -> dict[str, str]:
        """The candidate of each task that has one on trial here."""
        return {task: one.trial.version for task, one in self._open.items()}

    def loaded(self, task: str, version: str) -> Classifier | None:
        """Return the candidate of `task` if it is this version: it need not be loaded again to become live."""
        found = self._open.get(task)
        return found.candidate if found is not None and found.trial.version == version else None

    def refresh(self, trials: Sequence[Trial], live: Mapping[str, str | None]) -> None:
        """Take up `trials`, where the version that is `live` is the champion of the trial, and let all others go.

        Raises:
            RunnerError: the runner does not start on this machine.
        """
        wanted = [trial for trial in trials if live.get(trial.task) == trial.champion]
        fresh = {trial.task: one for trial in wanted if (one := self._taken_up(trial)) is not None}
        before, self._open = self._open, fresh
        for task, one in before.items():
            one.over = fresh.get(task) is not one
        known = {trial.id for trial in trials}
        self._missing &= known
        self._refused &= known

    def _taken_up(self, trial: Trial) -> OnTrial | None:
        now = self._open.get(trial.task)
        if now is not None and now.trial == trial:
            return now
        candidate = self.loaded(trial.task, trial.version) or self._fresh(trial)
        return OnTrial(trial, candidate) if candidate is not None else None

    def _fresh(self, trial: Trial) -> Classifier | None:
        """Load a candidate; None where that cannot be, which is said once, and counted if it is broken."""
        if trial.id in self._refused:
            return None
        try:
            found = self._load(trial.task, trial.version)
        except RunnerError:
            raise
        except NotFoundError as error:
            if trial.id not in self._missing:
                self._missing.add(trial.id)
                logger.warning("%s; until it is there, %s answers everything here", error, trial.champion)
            return None
        except Exception:
            # Whatever is wrong with a candidate, the champion must go on.
            self._refused.add(trial.id)
            self._counts.add(trial, "candidate", broken=1)
            logger.exception("version %s of %s cannot be tried", trial.version, trial.task)
            return None
        logger.info("version %s of %s is on trial here: %s", trial.version, trial.task, trial.kind)
        return found
