"""What operators see of the retraining job at `/metrics`: read from the store when it is asked for.

As with the queue, the figures are the store's, and so the same on every host that shares it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Gauge

from core.errors import UnavailableError
from feedback.runs import STATUSES, Run, count_runs, last_runs
from feedback.store import Store

logger = logging.getLogger("regrade.metrics")

SAMPLE_S = 15.0
"""Seconds for which figures are good."""


class RunMetrics:
    """Gauges of every task's runs, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, ("task", *labels), registry=registry, multiprocess_mode="mostrecent")

        self._runs = gauge("regrade_runs", "Runs of the retraining job by status.", "status")
        self._failed = gauge("regrade_run_failed", "1 where the last run that ended failed or was refused, else 0.")
        self._ended = gauge("regrade_run_ended_timestamp_seconds", "When the last run ended, in seconds since 1970.")
        self._good_until = 0.0

    async def refresh(self, store: Store, tasks: Collection[str]) -> None:
        """Read the figures anew unless they are good still; while the store is away the last ones stay."""
        if time.monotonic() < self._good_until:
            return
        self._good_until = time.monotonic() + SAMPLE_S
        try:
            counts, last = await asyncio.to_thread(lambda: (count_runs(store), last_runs(store)))
        except UnavailableError as error:
            logger.warning("the runs cannot be measured: %s", error)
            return
        for task in tasks:
            for status in STATUSES:  # those without a run too, or what is over would be shown for ever
                self._runs.labels(task, status).set(counts.get((task, status), 0))
            if task in last:
                self._show(last[task])

    def _show(self, run: Run) -> None:
        self._failed.labels(run.task).set(run.status in {"failed", "rejected"})
        if run.finished_at is not None:
            self._ended.labels(run.task).set(run.finished_at.timestamp())
