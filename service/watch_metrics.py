"""What operators see at `/metrics` of how live versions do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

from prometheus_client import CollectorRegistry

from feedback.deployments import count_taken_back
from feedback.store import Store
from feedback.watches import Aspect, Kept, list_watches
from service.store_gauges import StoreGauges
from tasks.declaration import Task


class WatchMetrics(StoreGauges):
    """Gauges of every task's live version, in `registry`."""

    about = "live versions"

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""
        super().__init__(registry)
        self._back = self._gauge(
            "regrade_versions_taken_back", "Versions that the watch has taken back. It only rises."
        )
        self._worse = self._gauge(
            "regrade_live_worse", "1 where the live version does worse than the one before, else 0."
        )
        self._accuracy = self._gauge(
            "regrade_live_accuracy",
            "Share of right answers on the live version's traffic: estimate, low, high; NaN: too little is known.",
            "of",
        )
        self._drift = self._gauge(
            "regrade_drift", "How far recent traffic is from the live version's first; NaN: too little traffic.", "of"
        )
        self._shifted = self._gauge("regrade_drift_shifted", "1 where the live version's traffic has shifted, else 0.")

    def _read(self, store: Store, tasks: Mapping[str, Task]) -> None:
        back, kept = count_taken_back(store), list_watches(store, list(tasks))
        for task in tasks:
            self._back.labels(task).set(back.get(task, 0))
            self._show(task, kept.get(task))

    def _show(self, task: str, kept: Kept | None) -> None:
        """Show what is known; what is not is NaN, or the figures of a version that is gone would stay."""
        watched = kept.watched if kept else None
        self._worse.labels(task).set(watched is not None and watched.worse is not None)
        self._shifted.labels(task).set(watched is not None and watched.drifted_at is not None)
        accuracy = watched.accuracy if watched else None
        for name in ("estimate", "low", "high"):
            self._accuracy.labels(task, name).set(getattr(accuracy, name) if accuracy else math.nan)
        shifts = {shift.aspect: shift.value for shift in watched.shifts} if watched else {}
        for aspect in get_args(Aspect):
            self._drift.labels(task, aspect).set(shifts.get(aspect, math.nan))
