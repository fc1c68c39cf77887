"""What this worker has seen of trials, on its way into the store: added up here, and written every second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from threading import Lock

from core.errors import UnavailableError
from feedback.store import Store
from feedback.trial_figures import CountKey, Side, add_figures, timed
from feedback.trials import Trial
from service.watching import watch

logger = logging.getLogger("regrade.trials")

FLUSH_S = 1.0
"""Seconds between two writes."""


class TrialCounts:
    """Counts of this worker that the store has not got yet; any thread may add to them."""

    def __init__(self, store: Store) -> None:
        """Write to `store`."""
        self._store = store
        self._counts: dict[CountKey, float] = {}
        self._lock = Lock()

    def add(self, trial: Trial, side: Side, seconds: float | None = None, **counted: int) -> None:
        """Add to counters of `side` in the present step of `trial`, and how many `seconds` it took, if that is known.

        The names of `counted` are those of the whole numbers in `SideFigures`.
        """
        counts = {**counted, **({} if seconds is None else timed(seconds * 1000))}
        self._add({(trial.id, trial.step, side, name): n for name, n in counts.items()})

    def _add(self, counts: Mapping[CountKey, float]) -> None:
        with self._lock:
            for key, n in counts.items():
                self._counts[key] = self._counts.get(key, 0) + n

    def flush(self) -> None:
        """Write what was counted; where the store is away it is kept for the next time.

        Raises:
            UnavailableError: the store is away.
        """
        with self._lock:
            counts, self._counts = self._counts, {}
        try:
            add_figures(self._store, counts)
        except UnavailableError:
            self._add(counts)
            raise

    async def watch(self) -> None:
        """Write again and again until cancelled, whatever goes wrong on the way."""
        await watch(lambda: asyncio.to_thread(self.flush), FLUSH_S, logger, "what trials show cannot be written")
