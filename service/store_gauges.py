"""Gauges that show at `/metrics` what the store knows: read when it is asked for, not counted here.

The figures are the store's, and so the same on every host that shares it: take the greatest, not the sum. A gauge for
what only grows is what prometheus-client's multiprocess mode leaves, where counters of several workers are added up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from core.errors import UnavailableError
from feedback.store import Store
from tasks.declaration import Task

logger = logging.getLogger("regrade.metrics")

SAMPLE_S = 15.0
"""Seconds for which figures are good: scrapes in between cost the store nothing."""


class StoreGauges(ABC):
    """Gauges by task of one subject, in a registry."""

    about: str
    """What they tell of, in a log line."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every gauge; once a registry."""
        self._registry = registry
        self._good_until = 0.0

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, ("task", *labels), registry=self._registry, multiprocess_mode="mostrecent")

    async def refresh(self, store: Store, tasks: Mapping[str, Task]) -> None:
        """Read the figures anew unless they are good still; while the store is away the last ones stay."""
        if time.monotonic() < self._good_until:
            return
        self._good_until = time.monotonic() + SAMPLE_S
        try:
            await asyncio.to_thread(self._read, store, tasks)
        except UnavailableError as error:
            logger.warning("%s cannot be measured: %s", self.about, error)

    @abstractmethod
    def _read(self, store: Store, tasks: Mapping[str, Task]) -> None:
        """Set every gauge to what `store` knows of `tasks`.

        Raises:
            UnavailableError: the store is away.
        """
