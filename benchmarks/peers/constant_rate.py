"""Sends requests at a given rate, whatever the server does: `python -m benchmarks.peers.constant_rate --help`.

A closed loop asks less of a server that is slow; this does not. A request's latency counts from when it was due, not
from when a connection was free for it (coordinated omission). One thread, epoll, and no more work a request than
sending bytes and finding the end of the reply, so that the client leaves the cores to the server.

Writes an array a line: due (s from the start), latency (s; NaN: no reply within the patience), status (0: none),
whether Retry-After came with it, and how late it was sent (s).
"""

from __future__ import annotations

import argparse
import math
import resource
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COLUMNS = ("due", "latency", "status", "retry_after", "sent_late")


@dataclass(eq=False, slots=True)
class Connection:
    """A connection and the number of the request on it; -1: idle."""

    socket: socket.socket
    number: int = -1
    received: bytearray = field(default_factory=bytearray)


def arrivals(phases: list[tuple[float, float]]) -> Array:
    """Return when requests are due, in seconds from the start, for phases of `(rate, seconds)` one after another."""
    parts, begun = [], 0.0
    for rate, seconds in phases:
        parts.append(begun + np.arange(round(rate * seconds)) / rate)
        begun += seconds
    return np.concatenate(parts)


def reply_end(received: bytearray) -> int:
    """Return where the reply at the beginning of `received` ends, or -1 when it is not complete."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return -1
    headers = bytes(received[:head]).lower()
    at = headers.find(b"content-length:")
    if at >= 0:
        end = head + 4 + int(headers[at + 15 :].split(b"\r\n", 1)[0])
        return end if len(received) >= end else -1
    closing = received.find(b"\r\n0\r\n\r\n", head + 2)  # chunked
    return closing + 7 if closing >= 0 else -1


class Client:
    """Sends what is due, and notes what comes back."""

    def __init__(self, port: int, requests: list[bytes], due: Array, *, connections: int, patience_s: float) -> None:
        """Send `requests` in turn as they are `due`, over at most `connections`; give one up after `patience_s`."""
        self._port = port
        self._requests = requests
        self._due = due.tolist()
        self._most = connections
        self._patience_s = patience_s
        self._epoll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._sent: deque[tuple[float, Connection, int]] = deque()
        self._next = 0
        self._begun = 0.0
        self.seen = np.full((len(due), len(COLUMNS)), math.nan)
        self.seen[:, 0] = due
        self.seen[:, 2:4] = 0.0

    def run(self) -> float:
        """Send everything; return the share of one core that this took."""
        for _ in range(min(64, self._most)):
            self._idle.append(self._connect())
        self._begun, cpu = time.perf_counter() + 0.05, time.process_time()
        while self._next < len(self._due) or self._waiting or self._sent:
            self._send_due()
            self._give_up()
            self._receive()
        share = (time.process_time() - cpu) / (time.perf_counter() - self._begun)
        for connection in list(self._open.values()):
            self._close(connection)
        self._epoll.close()
        return share

    def _now(self) -> float:
        return time.perf_counter() - self._begun

    def _connect(self) -> Connection:
        connection = Connection(socket.socket())
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket.setblocking(False)
        connection.socket.connect_ex(("127.0.0.1", self._port))  # whether it succeeds, sending tells
        self._open[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _close(self, connection: Connection) -> None:
        self._epoll.unregister(connection.socket.fileno())
        del self._open[connection.socket.fileno()]
        connection.socket.close()
        connection.number = -1

    def _send_due(self) -> None:
        now = self._now()
        while self._next < len(self._due) and self._due[self._next] <= now:
            self._waiting.append(self._next)
            self._next += 1
        while self._waiting and (self._idle or len(self._open) < self._most):
            self._take(self._waiting.popleft())

    def _take(self, number: int) -> None:
        """Give request `number` to an idle connection, or to a new one."""
        connection = self._idle.popleft() if self._idle else self._connect()
        if connection.socket.fileno() == -1:  # closed while it was idle
            self._waiting.appendleft(number)
            return
        connection.number = number
        connection.received.clear()
        self._sent.append((self._due[number] + self._patience_s, connection, number))
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        number = connection.number
        try:
            connection.socket.send(self._requests[number % len(self._requests)])
        except BlockingIOError:  # not connected yet
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError:  # refused: a request without a reply
            self._close(connection)
        else:
            self.seen[number, 4] = self._now() - self._due[number]

    def _give_up(self) -> None:
        """Close the connections whose reply is too late, as a caller without patience does."""
        now = self._now()
        while self._waiting and self._due[self._waiting[0]] + self._patience_s < now:
            self._waiting.popleft()
        while self._sent and (self._sent[0][1].number != self._sent[0][2] or self._sent[0][0] < now):
            _, connection, number = self._sent.popleft()
            if connection.number == number:
                self._close(connection)

    def _receive(self) -> None:
        events = self._epoll.poll(0)
        if not events and (pause := self._pause()) > 0:
            # epoll waits in whole milliseconds; select, given the epoll, in microseconds.
            select.select([self._epoll.fileno()], [], [], pause)
            events = self._epoll.poll(0)
        for descriptor, event in events:
            connection = self._open[descriptor]
            if event & select.EPOLLOUT:
                self._epoll.modify(descriptor, select.EPOLLIN)
                self._send(connection)
            else:
                self._read(connection)

    def _pause(self) -> float:
        """Return the seconds until something is to be done without an event."""
        next_due = self._due[self._next] if self._next < len(self._due) else math.inf
        return min(next_due - self._now(), 0.05)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.received += data
        end = reply_end(connection.received)
        if end >= 0 and connection.number >= 0:
            self._note(connection)

    def _note(self, connection: Connection) -> None:
        row, number = self.seen[connection.number], connection.number
        head = bytes(connection.received[: connection.received.find(b"\r\n\r\n")]).lower()
        row[1] = self._now() - self._due[number]
        row[2] = float(head[9:12])
        row[3] = float(b"\r\nretry-after:" in head)
        connection.number = -1
        if b"\r\nconnection: close" in head:
            self._close(connection)
        else:
            self._idle.append(connection)


def read_requests(path: str, bodies: Path) -> list[bytes]:
    """Return a POST to `path` for each line of `bodies`."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies.read_bytes().splitlines()]


def main() -> None:
    """Send, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="of the URL")
    parser.add_argument("--bodies", type=Path, required=True, help="a file with a body a line")
    parser.add_argument("--phase", action="append", required=True, metavar="RATE:SECONDS", help="may be repeated")
    parser.add_argument("--connections", type=int, default=64, help="at most")
    parser.add_argument("--patience", type=float, default=10, help="seconds after which a request is given up")
    parser.add_argument("--output", type=Path, required=True, help="a file of numpy arrays")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    phases = [(float(rate), float(seconds)) for rate, seconds in (one.split(":") for one in options.phase)]
    client = Client(
        options.port,
        read_requests(options.path, options.bodies),
        arrivals(phases),
        connections=options.connections,
        patience_s=options.patience,
    )
    share = client.run()
    np.savez(options.output, seen=client.seen, client_cpu_share=share)


if __name__ == "__main__":
    main()
