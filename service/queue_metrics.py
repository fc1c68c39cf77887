"""What operators see of the queue at `/metrics`: read from the store when it is asked for, not counted here.

The figures are the store's, and so the same on every host that shares it: take the greatest, not the sum. A gauge for
what only grows is what prometheus-client's multiprocess mode leaves, where counters of several workers are added up.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from core.errors import UnavailableError
from feedback.facts import Reason
from feedback.stats import QueueStats, queue_stats
from feedback.store import Store
from tasks.declaration import Task

logger = logging.getLogger("regrade.metrics")

SAMPLE_S = 15.0
"""Seconds for which figures are good: scrapes in between cost the store nothing."""


class QueueMetrics:
    """Gauges of every task's queue, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, ("task", *labels), registry=registry, multiprocess_mode="mostrecent")

        self._items = gauge("regrade_queue_items", "Items by state and reason.", "state", "reason")
        self._oldest = gauge("regrade_queue_oldest_seconds", "Age of the oldest open item; 0: none is open.")
        self._leased = gauge("regrade_queue_leased", "Slots that somebody holds.")
        self._agreement = gauge(
            "regrade_queue_agreement", "Krippendorff's alpha of the latest resolved items; NaN: too few."
        )
        self._expiries = gauge("regrade_lease_expiries_total", "Leases that expired unanswered.")
        self._answers = gauge("regrade_answers_total", "Answers by role; one taken back is not subtracted.", "role")
        self._good_until = 0.0

    async def refresh(self, store: Store, tasks: Mapping[str, Task]) -> None:
        """Read the figures anew unless they are good still; while the store is away the last ones stay."""
        if time.monotonic() < self._good_until:
            return
        self._good_until = time.monotonic() + SAMPLE_S
        try:
            await asyncio.to_thread(self._read, store, tasks)
        except UnavailableError as error:
            logger.warning("the queue cannot be measured: %s", error)

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
