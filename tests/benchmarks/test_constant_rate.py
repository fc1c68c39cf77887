from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from benchmarks.peers.constant_rate import Array, Client, arrivals, reply_end

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(*replies: bytes) -> Iterator[int]:
    """Answer requests in turn on a loopback port; an empty reply is none at all."""
    loop, count = asyncio.new_event_loop(), iter(range(10**6))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readexactly(len(REQUEST)):
                reply = replies[next(count) % len(replies)]
                writer.write(reply)
                if reply == CLOSING:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(handle, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.call_later, 0.05, loop.stop)
        thread.join()
        loop.close()


def seen(port: int, due: Array, connections: int = 8, patience_s: float = 5.0) -> Array:
    client = Client(port, [REQUEST], due, connections=connections, patience_s=patience_s)
    assert 0 <= client.run() <= 1.5
    return client.seen


def test_requests_are_due_at_the_rate_of_each_phase() -> None:
    due = arrivals([(10, 1), (20, 0.5)])
    assert due.size == 20
    assert np.allclose(np.diff(due[:10]), 0.1)
    assert np.allclose(due[10:], 1 + np.arange(10) / 20)


@pytest.mark.parametrize("reply", [FINE, CHUNKED, REFUSED])
def test_the_end_of_a_reply_is_found_once_it_is_complete(reply: bytes) -> None:
    for length in range(len(reply)):
        assert reply_end(bytearray(reply[:length])) == -1
    assert reply_end(bytearray(reply)) == len(reply)


@pytest.mark.parametrize("reply", [FINE, CHUNKED, CLOSING])
def test_every_request_is_answered(reply: bytes) -> None:
    with answering(reply) as port:
        rows = seen(port, arrivals([(400, 0.25)]))
    assert (rows[:, 2] == 200).all()
    assert (rows[:, 1] > 0).all()
    assert (rows[:, 4] <= rows[:, 1]).all()


def test_refusals_are_told_from_answers() -> None:
    with answering(FINE, REFUSED) as port:
        rows = seen(port, arrivals([(200, 0.2)]))
    assert sorted(rows[:, 2].tolist()) == [200] * 20 + [429] * 20
    assert rows[rows[:, 2] == 429, 3].all()
    assert not rows[rows[:, 2] == 200, 3].any()


def test_a_request_without_a_reply_is_given_up_and_the_others_go_on() -> None:
    with answering(b"", FINE) as port:
        rows = seen(port, arrivals([(100, 0.1)]), patience_s=0.5)
    assert sorted(rows[:, 2].tolist()) == [0] * 5 + [200] * 5
    assert np.isnan(rows[rows[:, 2] == 0, 1]).all()


def test_latency_counts_from_when_a_request_was_due() -> None:
    with answering(FINE) as port:
        rows = seen(port, np.zeros(50), connections=1)
    assert (np.diff(rows[:, 1]) > 0).all()  # one connection: each waits for the one before
    assert (rows[1:, 4] >= rows[:-1, 1]).all()


def test_nobody_listening_is_no_answer() -> None:
    with answering(FINE) as port:
        pass
    assert not seen(port, arrivals([(100, 0.05)]), patience_s=0.3)[:, 2].any()
