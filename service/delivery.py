"""One attempt to deliver an event to a webhook: signed, to a checked address, following no redirect.

The form is the Standard Webhooks specification 1.0.0: headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, the latter `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from datetime import UTC

import httpx
import orjson

from core import VERSION
from core.errors import RegradeError
from feedback.deliveries import Delivery, Outcome
from feedback.webhooks import SECRET_PREFIX, Webhook
from service.addresses import Resolve, allowed_addresses, resolve

TIMEOUT_S = 10.0
"""Longest attempt in seconds: resolving, connecting, sending and the reply together."""

_CONNECT_TIMEOUT_S = 4.0  # so that a second address of the same host gets its turn
_MAX_REPLY = 64 * 1024


def new_client(certificates: ssl.SSLContext, connections: int = 1) -> httpx.AsyncClient:
    """Return a client for one webhook with at most `connections`; close it after use.

    `certificates` come from `httpx.create_ssl_context`, which is slow; they can be shared, and a client cannot:
    connections are kept by address, and two hosts may share one, each with its own certificate. Proxies of the
    environment are not used: they would resolve the name again.
    """
    return httpx.AsyncClient(
        verify=certificates,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=connections),
    )


def signature_of(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; `timestamp` is in whole seconds of Unix time."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def body_of(delivery: Delivery) -> bytes:
    """Return what is sent: `type`, `timestamp` of the event, and `data` with its task and payload; never a text."""
    moment = delivery.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    data = {"task": delivery.task, **delivery.payload}
    return orjson.dumps({"type": delivery.event, "timestamp": moment, "data": data})


async def deliver(
    client: httpx.AsyncClient, webhook: Webhook, delivery: Delivery, *, resolve: Resolve = resolve
) -> Outcome:
    """Send `delivery` once, with a client of `new_client`; return how it went, whatever goes wrong."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status = await _post(client, webhook, delivery, resolve)
    except TimeoutError:
        return Outcome(delivery, None, f"no answer within {TIMEOUT_S:g} s")
    except RegradeError as error:
        return Outcome(delivery, None, str(error))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Outcome(delivery, None, f"{type(error).__name__}: {error}")
    return Outcome(delivery, status, _refusal(status))


async def _post(client: httpx.AsyncClient, webhook: Webhook, delivery: Delivery, resolve: Resolve) -> int:
    url = httpx.URL(webhook.url)
    host = url.raw_host.decode("ascii")
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = await allowed_addresses(host, port, private=webhook.private, resolve=resolve)
    for address in addresses[:-1]:
        try:
            return await _post_to(client, webhook, delivery, url.copy_with(host=address))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue  # nothing was sent yet: the host's next address may answer
    return await _post_to(client, webhook, delivery, url.copy_with(host=addresses[-1]))


async def _post_to(client: httpx.AsyncClient, webhook: Webhook, delivery: Delivery, pinned: httpx.URL) -> int:
    """Send to the address in `pinned`, and so not to what the name may mean by now; return the reply's status."""
    url, body, timestamp = httpx.URL(webhook.url), body_of(delivery), int(time.time())
    headers = {
        "host": url.netloc.decode("ascii"),
        "user-agent": f"Regrade/{VERSION}",
        "content-type": "application/json",
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(webhook.secret, delivery.event_id, timestamp, body),
    }
    # The certificate is checked against this name.
    extensions = {"sni_hostname": url.raw_host.decode("ascii")}
    async with client.stream("POST", pinned, content=body, headers=headers, extensions=extensions) as reply:
        read = 0
        async for chunk in reply.aiter_raw():  # so that the connection can be used again; what it says does not matter
            read += len(chunk)
            if read > _MAX_REPLY:
                break
        return reply.status_code


def _refusal(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return f"answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")
