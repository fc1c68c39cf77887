"""What one serving process holds, put together once and passed down."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random
from types import FrameType
from typing import Any

from prometheus_client import REGISTRY

from core.errors import RegradeError, SettingError, UnavailableError
from core.settings import Settings
from feedback.keys import any_keys
from feedback.recording import PREDICTION, forward_predictions
from feedback.reports import REPORT, forward_reports
from feedback.spool import Spool
from feedback.store import Store, open_store
from service.admin_key import AdminKey
from service.answers import Answers
from service.batcher import Batcher
from service.callers import Callers
from service.canary import Canary
from service.demo_sign import DemoSign
from service.filling import FillingBatcher
from service.forwarder import Forwarder
from service.housekeeping import Housekeeping, usual_duties
from service.live import LiveModels
from service.metrics import FLUSH_S, Metrics
from service.predictor import Predictor
from service.queue_metrics import QueueMetrics
from service.recorder import Recorder
from service.recordings import Recordings
from service.run_metrics import RunMetrics
from service.shadow import Shadow
from service.trial_metrics import TrialMetrics
from service.watch_metrics import WatchMetrics
from service.webhooks import Sender
from tasks.declaration import Task

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
        check_address(settings, has_keys=any_keys(self.store))
        self.callers = Callers(self.store, AdminKey(settings.home))
        self.metrics = Metrics(REGISTRY)
        self.store_gauges = [kind(REGISTRY) for kind in (QueueMetrics, RunMetrics, TrialMetrics, WatchMetrics)]
        self.live = LiveModels(settings, self.store, self.metrics)
        gathers = Batcher if self.live.runner == "cpu" else FillingBatcher
        self.batcher = gathers(
            self.metrics,
            max_queue=settings.max_queue,
            batch_tokens=settings.batch_tokens,
            timeout_s=settings.request_timeout,
            answers=Answers(settings.answer_cache, self.metrics) if settings.answer_cache else None,
        )
        self.spool = Spool(settings.home / "spool.sqlite3")
        self.recorder = Recorder(self.store, self.spool, self.metrics)
        self.forwarder = Forwarder(self.recorder, self.spool, self.store, self.metrics)
        self.housekeeping = Housekeeping(self.store, usual_duties(settings, self.declared))
        self.sender = Sender(self.store, self.metrics)
        self.demo_sign = DemoSign(self.store)
        recorder = self.recorder if settings.record == "all" else None
        recordings = Recordings(Random(), settings.workers)  # noqa: S311 - chance for sampling, not for secrets
        self.shadow = Shadow(self.batcher, self.live.counts)
        canary = Canary(self.batcher, self.shadow, self.live.counts)
        self.predictor = Predictor(self.live, self.batcher, canary, recorder, recordings, self.metrics)
        self._watches: list[asyncio.Task[None]] = []

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here: some task has a live model, and the worker is not going away."""
        return not self.draining and any(self.live.versions.values())

    async def start(self) -> None:
        """Load the live models, begin to watch for changes, and arrange for a graceful end."""
        await self.live.keep_up()
        await asyncio.to_thread(self.callers.refresh)
        self._watches = [asyncio.create_task(self.live.watch()), asyncio.create_task(self.callers.watch())]
        self._watches += [asyncio.create_task(self.sender.run()), asyncio.create_task(self.demo_sign.watch())]
        self._watches += [asyncio.create_task(self.shadow.watch()), asyncio.create_task(self.live.counts.watch())]
        self._watches.append(asyncio.create_task(self._count()))
        self.recorder.start()
        self.forwarder.start({PREDICTION: forward_predictions, REPORT: forward_reports(self.declared)})
        self.housekeeping.start()
        self._drain_on(signal.SIGTERM)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        for task, version in self.live.versions.items():
            if version is None:
                logger.warning("task %s has no live model; train one with `regrade train %s`", task, task)

    async def stop(self) -> None:
        """Stop watching, write what is not recorded yet, and close the store."""
        for watch in self._watches:
            watch.cancel()
        await self.sender.stop()
        await self.housekeeping.stop()
        await asyncio.to_thread(self.forwarder.close)
        await asyncio.to_thread(self.recorder.close)
        with suppress(UnavailableError):
            await asyncio.to_thread(self.callers.write_uses)
            await asyncio.to_thread(self.live.counts.flush)
        self.metrics.flush()
        self.spool.close()
        self.store.close()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.metrics.flush()

    def declared(self) -> dict[str, Task]:
        """Return every served task as it is declared now."""
        return {name: folder.task for name, folder in self.live.tasks.items()}

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


def check_address(settings: Settings, *, has_keys: bool) -> None:
    """Refuse to listen where others could come in without a key.

    Raises:
        SettingError: the host is not a loopback address, and no key was ever made.
    """
    if not settings.is_loopback and not has_keys:
        raise SettingError(
            f"REGRADE_HOST is {settings.host!r}, which other machines can reach, but there are no keys yet and so "
            "everybody would be let in; make one with `regrade keys create --person NAME --role admin`, or use "
            "127.0.0.1"
        )


def make_worker(settings: Settings) -> Worker:
    """Return this process's worker; what cannot be used is said in one line instead of a traceback.

    Raises:
        SystemExit: a setting, a task or the store cannot be used.
    """
    try:
        return Worker(settings)
    except RegradeError as error:
        raise SystemExit(f"regrade cannot serve: {error}") from error
