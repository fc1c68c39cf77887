"""What operators see of the queue at `/metrics`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import get_args

from prometheus_client import CollectorRegistry

from feedback.facts import Reason
from feedback.stats import QueueStats, queue_stats
from feedback.store import Store
from service.store_gauges import StoreGauges
from tasks.declaration import Task


class QueueMetrics(StoreGauges):
    """Gauges of every task's queue, in `registry`."""

    about = "the queue"

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""
        super().__init__(registry)
        self._items = self._gauge("regrade_queue_items", "Items by state and reason.", "state", "reason")
        self._oldest = self._gauge("regrade_queue_oldest_seconds", "Age of the oldest open item; 0: none is open.")
        self._leased = self._gauge("regrade_queue_leased", "Slots that somebody holds.")
        self._agreement = self._gauge(
            "regrade_queue_agreement", "Krippendorff's alpha of the latest resolved items; NaN: too few."
        )
        self._expiries = self._gauge("regrade_lease_expiries_total", "Leases that expired unanswered.")
        self._answers = self._gauge(
            "regrade_answers_total", "Answers by role; one taken back is not subtracted.", "role"
        )

    def _read(self, store: Store, tasks: Mapping[str, Task]) -> None:
        for name, task in tasks.items():
            self._show(name, queue_stats(store, task))

    def _show(self, task: str, stats: QueueStats) -> None:
        for state in ("open", "resolved"):
            for reason in get_args(Reason):  # those without an item too, or what is over would be shown for ever
                self._items.labels(task, state, reason).set(stats.by_reason.get(state, {}).get(reason, 0))
        age = (datetime.now(UTC) - stats.oldest).total_seconds() if stats.oldest else 0.0
        self._oldest.labels(task).set(max(0.0, age))
        self._leased.labels(task).set(stats.leased)
        self._agreement.labels(task).set(math.nan if stats.agreement is None else stats.agreement)
        self._expiries.labels(task).set(stats.lease_expiries)
        for role, n in stats.answers_by_role.items():
            self._answers.labels(task, role).set(n)
