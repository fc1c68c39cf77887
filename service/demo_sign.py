"""Whether the pages say that part of what they show was played by `regrade demo`."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from feedback.demo import has_demo_data
from feedback.store import Store
from service.watching import watch

logger = logging.getLogger("regrade.demo")

LOOK_S = 3.0
"""Seconds between looks, so that a page need not look itself."""


class DemoSign:
    """Knows whether there is demo data, a few seconds late."""

    def __init__(self, store: Store) -> None:
        """Know of none; `watch` looks."""
        self._store = store
        self.is_up = False

    async def watch(self) -> None:
        """Keep in step until cancelled, whatever goes wrong on the way."""
        await watch(partial(asyncio.to_thread, self._look), LOOK_S, logger, "demo data is not looked for", at_once=True)

    def _look(self) -> None:
        self.is_up = has_demo_data(self._store)
