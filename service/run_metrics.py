"""What operators see of the retraining job at `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from feedback.runs import STATUSES, Run, count_runs, last_runs
from feedback.store import Store
from service.store_gauges import StoreGauges
from tasks.declaration import Task


class RunMetrics(StoreGauges):
    """Gauges of every task's runs, in `registry`."""

    about = "the runs"

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""
        super().__init__(registry)
        self._runs = self._gauge("regrade_runs", "Runs of the retraining job by status.", "status")
        self._failed = self._gauge(
            "regrade_run_failed", "1 where the last run that ended failed or was refused, else 0."
        )
        self._ended = self._gauge(
            "regrade_run_ended_timestamp_seconds", "When the last run ended, in seconds since 1970."
        )

    def _read(self, store: Store, tasks: Mapping[str, Task]) -> None:
        counts, last = count_runs(store), last_runs(store)
        for task in tasks:
            for status in STATUSES:  # those without a run too, or what is over would be shown for ever
                self._runs.labels(task, status).set(counts.get((task, status), 0))
            if task in last:
                self._show(last[task])

    def _show(self, run: Run) -> None:
        self._failed.labels(run.task).set(run.status in {"failed", "rejected"})
        if run.finished_at is not None:
            self._ended.labels(run.task).set(run.finished_at.timestamp())
