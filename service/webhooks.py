"""Sending webhooks: what is due goes out, at least once, while the service runs."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl

import httpx

from core.errors import RegradeError
from feedback.deliveries import Outcome, due_webhooks, note_outcomes, oldest_waiting, take_due, wait_after
from feedback.store import Store
from feedback.webhooks import Webhook
from service.addresses import Resolve, resolve
from service.delivery import deliver, new_client
from service.metrics import Metrics
from service.watching import watch

logger = logging.getLogger("regrade.webhooks")

POLL_S = 1.0
"""Seconds between looks for what is due."""

AT_ONCE = 8
"""Deliveries to one webhook that are taken and sent together."""

_MEASURE_EVERY = 15  # looks
_GRACE_S = 3.0


class Sender:
    """Sends what is due; each webhook on its own, so that one that hangs holds up no other.

    Every worker has one. What one of them has taken, no other gets, so that they need not agree who sends.
    """

    def __init__(self, store: Store, metrics: Metrics, *, resolve: Resolve = resolve) -> None:
        """Send nothing yet; `run` does."""
        self._store = store
        self._metrics = metrics
        self._resolve = resolve
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._looks = 0
        self._certificates: ssl.SSLContext | None = None

    async def run(self) -> None:
        """Send until cancelled, whatever goes wrong on the way."""
        await watch(self._look, POLL_S, logger, "webhooks cannot be sent", at_once=True)

    async def _look(self) -> None:
        """Measure now and then how long webhooks wait, and begin what is due."""
        measures = self._looks % _MEASURE_EVERY == 0
        self._looks += 1
        if measures:
            waiting = await asyncio.to_thread(oldest_waiting, self._store)
            self._metrics.webhooks_waited(waiting.total_seconds() if waiting else 0.0)
        await self.begin_due()

    async def begin_due(self) -> None:
        """Begin to send to each webhook that something is due for, where that is not under way already.

        Raises:
            UnavailableError: the store is away.
        """
        for webhook in await asyncio.to_thread(due_webhooks, self._store):
            if webhook.id not in self._at_work and not self._stopping:
                self._at_work[webhook.id] = asyncio.create_task(self._send_all(webhook))

    async def idle(self) -> None:
        """Wait until everything that was begun has ended."""
        while self._at_work:
            await asyncio.wait(list(self._at_work.values()))

    async def stop(self) -> None:
        """Begin nothing more, and give what is under way a moment to end; what does not is sent again later."""
        self._stopping = True
        if self._at_work:
            _, late = await asyncio.wait(list(self._at_work.values()), timeout=_GRACE_S)
            for task in late:
                task.cancel()

    async def _send_all(self, webhook: Webhook) -> None:
        try:
            if self._certificates is None:
                self._certificates = await asyncio.to_thread(httpx.create_ssl_context)
            async with new_client(self._certificates, AT_ONCE) as client:
                while not self._stopping and await self._send_some(client, webhook):
                    pass
        except RegradeError as error:
            logger.warning("webhook %s cannot be served: %s", webhook.id, error)
        except Exception:
            logger.exception("webhook %s cannot be served; trying again", webhook.id)
        finally:
            self._at_work.pop(webhook.id, None)

    async def _send_some(self, client: httpx.AsyncClient, webhook: Webhook) -> bool:
        """Take some of what is due, send it, and write how it went; tell whether there was any."""
        taken = await asyncio.to_thread(take_due, self._store, webhook.id, AT_ONCE)
        outcomes = await asyncio.gather(*(deliver(client, webhook, one, resolve=self._resolve) for one in taken))
        await asyncio.to_thread(note_outcomes, self._store, webhook.id, outcomes, random.random)
        for outcome in outcomes:
            self._metrics.webhook_tried(_outcome_name(outcome))
        return bool(taken)


def _outcome_name(outcome: Outcome) -> str:
    if outcome.error is None:
        return "delivered"
    again = wait_after(outcome.delivery.attempts, 0.5)
    logger.warning(
        "event %s did not reach webhook %s (attempt %d, %s): %s",
        outcome.delivery.event_id,
        outcome.delivery.webhook_id,
        outcome.delivery.attempts,
        "given up" if again is None else "tried again later",
        outcome.error,
    )
    return "failed" if again is None else "retried"
