"""What one serving process holds, put together once and passed down."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from prometheus_client import REGISTRY

from core.errors import RegradeError, SettingError
from core.settings import Settings
from feedback.store import Store, open_store
from service.batcher import Batcher
from service.live import LiveModels
from service.metrics import Metrics
from service.predictor import Predictor

logger = logging.getLogger("regrade.worker")


class Worker:
    """The live models, the batcher and the store of this process, and its beginning and end."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and find the tasks; models are loaded by `start`.

        Raises:
            RegradeError: a setting, a task or the store cannot be used.
        """
        self.settings = settings
        self.draining = False
        self.store: Store = open_store(settings.store_url)
        self.metrics = Metrics(REGISTRY)
        self.live = LiveModels(settings, self.store, self.metrics)
        self.batcher = Batcher(
            self.metrics,
            max_queue=settings.max_queue,
            batch_tokens=settings.batch_tokens,
            timeout_s=settings.request_timeout,
        )
        self.predictor = Predictor(self.live, self.batcher, self.metrics)
        self._watch: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here: some task has a live model, and the worker is not going away."""
        return not self.draining and any(self.live.versions.values())

    async def start(self) -> None:
        """Load the live models, begin to watch for changes, and arrange for a graceful end."""
        await asyncio.to_thread(self.live.refresh)
        self._watch = asyncio.create_task(self.live.watch())
        self._drain_on(signal.SIGTERM)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        for task, version in self.live.versions.items():
            if version is None:
                logger.warning("task %s has no live model; train one with `regrade train %s`", task, task)

    async def stop(self) -> None:
        """Stop watching and close the store."""
        if self._watch is not None:
            self._watch.cancel()
        self.store.close()

    def _drain_on(self, signum: int) -> None:
        """On `signum` turn readiness off first, and let the server stop only after load balancers have seen it."""
        loop = asyncio.get_running_loop()
        server_stops: Any = signal.getsignal(signum)

        def drain(received: int, frame: FrameType | None) -> None:
            if self.draining or not callable(server_stops):
                return
            self.draining = True
            logger.info("draining for %g s", self.settings.drain_seconds)
            stop: Callable[[], Any] = lambda: server_stops(received, frame)  # noqa: E731
            loop.call_soon_threadsafe(loop.call_later, self.settings.drain_seconds, stop)

        signal.signal(signum, drain)


def check_address(settings: Settings) -> None:
    """Refuse to listen where others could come in.

    Raises:
        SettingError: the host is not a loopback address, and there are no keys.
    """
    if not settings.is_loopback:
        raise SettingError(
            f"REGRADE_HOST is {settings.host!r}, which other machines can reach, but there are no keys yet and so "
            "everybody would be let in; use 127.0.0.1"
        )


def make_worker(settings: Settings) -> Worker:
    """Return this process's worker; what cannot be used is said in one line instead of a traceback.

    Raises:
        SystemExit: a setting, a task or the store cannot be used.
    """
    try:
        check_address(settings)
        return Worker(settings)
    except RegradeError as error:
        raise SystemExit(f"regrade cannot serve: {error}") from error
