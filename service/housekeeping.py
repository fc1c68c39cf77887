"""What is to be done now and then: each duty by one process at a time over one database."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from core.ids import new_id
from core.settings import Settings
from feedback.audit import seal
from feedback.duties import find_duty, finish, take
from feedback.learned import refresh_quality
from feedback.predictions import prune
from feedback.retention import forget_old
from feedback.store import Store
from feedback.summaries import EVERY_S, refresh_summary
from feedback.watch import watch_promise
from service.watching import watch
from tasks.declaration import Task

logger = logging.getLogger("regrade.housekeeping")

LEASE_S = 30.0
"""Seconds for which a process takes a duty; renewed in time by whoever still has it."""

_LOOK_S = 5.0
"""Seconds between looks at a duty that is not due, or that another process has."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that is done every `every_s` seconds by one process at a time, from a thread.

    It must stand being cut short and done again: its process may end, and one that takes longer than its lease may
    overlap with the next.
    """

    name: str
    every_s: float
    run: Callable[[Store], object]


def usual_duties(settings: Settings, declared: Callable[[], Mapping[str, Task]]) -> list[Duty]:
    """Return the duties of every service; `declared` returns the tasks that it serves at the time of asking."""
    return [
        Duty("prune predictions", 3600, partial(prune, keep_days=settings.keep_days)),
        Duty("seal the audit log", 60, seal),
        Duty("forget old leases, events and replies", 6 * 3600, forget_old),
        Duty("learn what annotators mix up", 3600, partial(_for_each, declared, refresh_quality)),
        Duty("watch the promise of triage", 24 * 3600, partial(_for_each, declared, watch_promise)),
        Duty("work out the figures of the pages", EVERY_S, partial(_for_each, declared, refresh_summary)),
    ]


def _for_each(declared: Callable[[], Mapping[str, Task]], do: Callable[[Store, Task], object], store: Store) -> None:
    for task in declared().values():
        do(store, task)


class Housekeeping:
    """Runs duties until it is stopped."""

    def __init__(self, store: Store, duties: Sequence[Duty]) -> None:
        """Nothing runs before `start`."""
        self._store = store
        self._duties = duties
        self._holder = f"{socket.gethostname()[:60]} {os.getpid()} {new_id()[-8:]}"
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; each duty waits for itself only."""
        self._tasks = [asyncio.create_task(self._keep(duty)) for duty in self._duties]

    async def stop(self) -> None:
        """Let go of every duty that is not being done now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, duty: Duty) -> None:
        do = partial(asyncio.to_thread, self.do_if_due, duty)
        await watch(do, min(duty.every_s, _LOOK_S), logger, f"duty {duty.name!r} cannot be done")

    def do_if_due(self, duty: Duty) -> None:
        """Do `duty` if it is due and this process has it, which it takes if it is free; called outside the event loop.

        A duty more frequent than the lease stays with its process, and costs a write only when the lease is renewed.
        """
        if not self._is_mine(duty):
            return
        duty.run(self._store)
        if duty.every_s >= LEASE_S:
            finish(self._store, duty.name, self._holder)

    def _is_mine(self, duty: Duty) -> bool:
        held, now = find_duty(self._store, duty.name)
        if held is not None:
            if held.until > now and held.holder != self._holder:
                return False
            if held.done_at is not None and held.done_at + timedelta(seconds=duty.every_s) > now:
                return False
            if held.holder == self._holder and held.until - now > timedelta(seconds=LEASE_S / 2):
                return True
        return take(self._store, duty.name, self._holder, LEASE_S, every_s=duty.every_s)
