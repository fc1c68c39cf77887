"""Webhooks as a receiver sees them: signed, at least once, and never where they may not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Row, select, update

from core.roles import Caller
from feedback.outbox import Event, emit
from feedback.replay import add_test_delivery, replay
from feedback.schema import deliveries
from feedback.store import Store, open_store
from feedback.webhooks import Webhook, add_webhook
from service import delivery as delivery_module
from service.addresses import Resolve, is_public, resolve
from service.delivery import deliver, new_client, signature_of
from service.metrics import Metrics
from service.webhooks import AT_ONCE, Sender
from tests.conftest import missing
from tests.support.receiver import Got, Receiver, receiving, status
from tests.support.server import ROOT, free_port, run_server, wait_until

ANN = Caller("ann", "admin")
PUBLIC = "93.184.215.14"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


def add(store: Store, url: str, *, private: bool = True) -> Webhook:
    return add_webhook(store, ANN, url, None, private=private)


def tell(store: Store, count: int = 1) -> None:
    with store.write() as connection:
        emit(connection, [Event("item.created", "t", {"item_id": str(place)}) for place in range(count)])


def found_at(*addresses: str) -> Resolve:
    """Return a resolver that knows one answer."""

    async def look_up(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return look_up


def send(store: Store, resolve: Resolve = resolve) -> dict[str, float]:
    """Send what is due; return the metrics."""
    registry = CollectorRegistry()

    async def work() -> None:
        sender = Sender(store, Metrics(registry), resolve=resolve)
        await sender.begin_due()
        await sender.idle()

    asyncio.run(work())
    names = ("delivered", "retried", "failed")
    values = {name: registry.get_sample_value("regrade_webhook_deliveries_total", {"outcome": name}) for name in names}
    return {name: value for name, value in values.items() if value}


def rows(store: Store) -> Sequence[Row[Any]]:
    with store.read() as connection:
        return connection.execute(select(deliveries).order_by(deliveries.c.event_id)).all()


def hurry(store: Store) -> None:
    """Let time pass for what waits."""
    with store.write() as connection:
        connection.execute(update(deliveries).values(next_at=datetime(2000, 1, 1, tzinfo=UTC)))


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The published example of the Standard Webhooks libraries."""
    signature = signature_of(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_once_and_signed(store: Store, receiver: Receiver) -> None:
    webhook = add(store, receiver.url + "?source=1")
    tell(store)
    assert send(store) == {"delivered": 1}
    hurry(store)
    assert send(store) == {}
    (got,) = receiver.got
    (row,) = rows(store)
    assert (got.path, got.id) == ("/hook?source=1", row.event_id)
    assert (row.state, row.attempts, row.status, row.error) == ("delivered", 1, 204, None)
    assert got.json()["type"] == "item.created"
    assert got.json()["data"] == {"task": "t", "item_id": "0"}
    assert datetime.fromisoformat(got.json()["timestamp"]).tzinfo is not None
    timestamp = got.headers["webhook-timestamp"]
    assert abs(int(timestamp) - time.time()) < 3600
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    signed = f"{got.id}.{timestamp}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert got.headers["content-type"] == "application/json"


def test_many_events_all_arrive_once(store: Store, receiver: Receiver) -> None:
    add(store, receiver.url)
    tell(store, 5 * AT_ONCE + 1)
    assert send(store) == {"delivered": 5 * AT_ONCE + 1}
    assert len(receiver.ids) == len(set(receiver.ids)) == 5 * AT_ONCE + 1


@pytest.mark.parametrize("code", [400, 410, 429, 500, 503])
def test_what_is_refused_is_sent_again_later(store: Store, receiver: Receiver, code: int) -> None:
    add(store, receiver.url)
    receiver.answers = [status(code)]
    tell(store)
    assert send(store) == {"retried": 1}
    assert send(store) == {}
    (row,) = rows(store)
    assert (row.state, row.status, row.error) == ("due", code, f"answered {code}")
    hurry(store)
    assert send(store) == {"delivered": 1}
    assert receiver.ids == [row.event_id] * 2
    assert receiver.got[0].body == receiver.got[1].body


def test_an_answer_that_does_not_come_is_a_failure(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "TIMEOUT_S", 0.3)
    ended = threading.Event()

    def answer(_: Got, __: BaseHTTPRequestHandler) -> None:
        ended.wait(60)

    receiver.answers = [answer]
    add(store, receiver.url)
    tell(store)
    assert send(store) == {"retried": 1}
    ended.set()
    (row,) = rows(store)
    assert (row.state, row.status, row.error) == ("due", None, "no answer within 0.3 s")
    hurry(store)
    assert send(store) == {"delivered": 1}


def test_an_answer_without_end_is_not_read(store: Store, receiver: Receiver) -> None:
    written = []

    def answer(_: Got, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        while True:
            written.append(handler.wfile.write(b"x" * 65_536))

    receiver.answers = [answer]
    add(store, receiver.url)
    tell(store)
    assert send(store) == {"delivered": 1}
    assert sum(written) < 64 * 1024 * 1024  # what fits into the buffers between


def test_nobody_there_is_a_failure(store: Store) -> None:
    add(store, f"http://127.0.0.1:{free_port()}/")
    tell(store)
    assert send(store) == {"retried": 1}
    assert rows(store)[0].error.startswith("ConnectError")


def test_one_that_hangs_holds_up_no_other(store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that hangs is let go only after the other has everything."""
    monkeypatch.setattr(delivery_module, "TIMEOUT_S", 60)
    with receiving() as slow:

        def answer(got: Got, handler: BaseHTTPRequestHandler) -> None:
            wait_until(lambda: len(receiver.got) == 3 * AT_ONCE)
            status(204)(got, handler)

        slow.answers = [answer] * AT_ONCE
        add(store, slow.url)
        add(store, receiver.url)
        tell(store, 3 * AT_ONCE)
        assert send(store) == {"delivered": 6 * AT_ONCE}


def test_redirects_are_not_followed(store: Store, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [status(307, Location=elsewhere.url)]
        add(store, receiver.url)
        tell(store)
        assert send(store) == {"retried": 1}
        assert elsewhere.got == []
    assert rows(store)[0].error == "answered 307; redirects are not followed"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"],
)
def test_this_machine_is_refused_by_any_name(store: Store, receiver: Receiver, host: str) -> None:
    add(store, f"http://{host}:{receiver.port}/hook", private=False)
    tell(store)
    assert send(store) == {"retried": 1}
    assert receiver.got == []
    assert "is not public" in rows(store)[0].error or "cannot be resolved" in rows(store)[0].error


@pytest.mark.parametrize("found", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["10.0.0.1", PUBLIC], ["169.254.169.254"]])
def test_a_name_with_a_private_address_is_refused(store: Store, receiver: Receiver, found: list[str]) -> None:
    add(store, f"http://hooks.example.com:{receiver.port}/hook", private=False)
    tell(store)
    assert send(store, found_at(*found)) == {"retried": 1}
    assert receiver.got == []
    assert "which is not public" in rows(store)[0].error


def test_a_name_that_nobody_knows_is_a_failure(store: Store) -> None:
    add(store, "https://nowhere.invalid/", private=False)
    tell(store)
    assert send(store) == {"retried": 1}
    assert "nowhere.invalid cannot be resolved" in rows(store)[0].error


def test_the_address_that_was_checked_is_the_one_connected_to(store: Store, receiver: Receiver) -> None:
    """The name is asked for once an attempt, so that no second answer can lead elsewhere."""
    asked = []

    async def look_up(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    add(store, f"http://Hooks.example.com:{receiver.port}/hook")
    tell(store)
    assert send(store, look_up) == {"delivered": 1}
    assert asked == [("hooks.example.com", receiver.port)]
    assert receiver.got[0].headers["host"] == f"hooks.example.com:{receiver.port}"


def test_the_next_address_is_tried_where_nobody_listens(store: Store, receiver: Receiver) -> None:
    add(store, f"http://hooks.example.com:{receiver.port}/hook")
    tell(store)
    assert send(store, found_at("127.0.0.2", "::1", "127.0.0.1")) == {"delivered": 1}
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("name", "arrives"), [("hooks.example.com", True), ("other.example.com", False)])
def test_the_certificate_is_of_the_name_not_the_address(store: Store, tmp_path: Path, name: str, arrives: bool) -> None:
    key, certificate = make_certificate(tmp_path, "hooks.example.com")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=str(certificate))
    with receiving(ours) as receiver:
        webhook = add(store, f"https://{name}:{receiver.port}/hook")
        target, test = add_test_delivery(store, ANN, webhook.id)

        async def work() -> str | None:
            async with new_client(theirs) as client:
                return (await deliver(client, target, test, resolve=found_at("127.0.0.1"))).error

        error = asyncio.run(work())
        assert (error is None) == arrives == (len(receiver.got) == 1)
        assert arrives or "certificate" in str(error)


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}", "-days", "2"]
    try:
        subprocess.run([*command, "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    except FileNotFoundError:
        missing("openssl")
    return key, certificate


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "0.1.2.3", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::"),
        *("fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1"),
        "2001:0:5db8:d70e:0:0:80ff:fffe",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_replayed_event_has_the_same_id(store: Store, receiver: Receiver) -> None:
    add(store, receiver.url)
    tell(store)
    send(store)
    assert replay(store, ANN, event_id=receiver.ids[0]) == 1
    assert send(store) == {"delivered": 1}
    assert receiver.ids == [receiver.ids[0]] * 2


_SENDER = """
import asyncio, sys
from prometheus_client import CollectorRegistry
from feedback.store import Store
from service.metrics import Metrics
from service.webhooks import Sender
async def work():
    sender = Sender(Store(sys.argv[1]), Metrics(CollectorRegistry()))
    await sender.begin_due()
    await sender.idle()
asyncio.run(work())
"""


def test_a_sender_that_is_killed_before_it_wrote_sends_again(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    add(store, receiver.url)
    tell(store)
    arrived = threading.Event()

    def answer(got: Got, handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        process.wait(60)
        status(204)(got, handler)

    receiver.answers = [answer]
    command = [sys.executable, "-c", _SENDER, f"sqlite:///{tmp_path / 'store.sqlite3'}"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert arrived.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    (row,) = rows(store)
    assert (row.state, row.attempts) == ("due", 1)
    assert send(store) == {}, "nobody knows yet that the sender has died"
    hurry(store)
    assert send(store) == {"delivered": 1}
    assert receiver.ids == [row.event_id] * 2


@pytest.mark.slow
def test_senders_killed_at_random_lose_nothing(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    """Two senders at a time, each killed somewhere in the middle; what they leave is sent by the last one."""
    chance = Random(7)
    add(store, receiver.url)
    tell(store, 1_000)
    command = [sys.executable, "-c", _SENDER, f"sqlite:///{tmp_path / 'store.sqlite3'}"]
    for _ in range(5):
        before, more = len(receiver.got), chance.randrange(1, 60)
        senders = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(2)]
        enough = partial(_arrived, receiver, before + more)
        wait_until(enough)
        for sender in senders:
            sender.kill()
            sender.wait(60)
        hurry(store)
    send(store)
    assert {row.state for row in rows(store)} == {"delivered"}
    assert set(receiver.ids) == {row.event_id for row in rows(store)}
    assert len(receiver.ids) <= 1_000 + 5 * 2 * AT_ONCE


def _arrived(receiver: Receiver, count: int) -> bool:
    return len(receiver.got) >= count


def test_the_service_sends(tiny_home: Path, tmp_path: Path, receiver: Receiver) -> None:
    with run_server(tiny_home, tmp_path) as server:
        served = open_store(f"sqlite:///{server.home / 'regrade.sqlite3'}")
        add(served, receiver.url)
        receiver.answers = [status(500)]
        tell(served, 20)
        with served.write() as connection:
            emit(connection, [Event("alert.raised", None, {"kind": "one more"})])
        wait_until(lambda: [row.state for row in rows(served)].count("delivered") == 20)
        wait_until(lambda: len(receiver.got) == 22)
        wait_until(lambda: {row.state for row in rows(served)} == {"delivered"})
        assert len(set(receiver.ids)) == 21
        text = httpx.get(f"{server.url}/metrics").text
        assert 'regrade_webhook_deliveries_total{outcome="delivered"} 21.0' in text
        assert 'regrade_webhook_deliveries_total{outcome="retried"} 1.0' in text
        served.close()
