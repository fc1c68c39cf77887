"""A client that keeps a service busy over loopback and notes how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count


@dataclass
class Answers:
    """What came back: the seconds that each good answer took, and how many were not."""

    seconds: float = 0.0
    taken: list[float] = field(default_factory=list)
    failed: int = 0


def send(port: int, path: str, bodies: Sequence[bytes], *, clients: int, seconds: float) -> Answers:
    """POST JSON `bodies` in turn to a port of this machine, from so many clients at once, each on one connection."""
    return asyncio.run(_send(port, path, bodies, clients, seconds))


async def _send(port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Answers:
    found, numbers = Answers(), count()
    requests = [_request(port, path, body) for body in bodies]
    begun = time.perf_counter()
    await asyncio.gather(*(_client(port, requests, numbers, begun + seconds, found) for _ in range(clients)))
    found.seconds = time.perf_counter() - begun
    return found


def _request(port: int, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


async def _client(port: int, requests: Sequence[bytes], numbers: count[int], end: float, found: Answers) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < end:
            started = time.perf_counter()
            writer.write(requests[next(numbers) % len(requests)])
            if await _status(reader) == 200:
                found.taken.append(time.perf_counter() - started)
            else:
                found.failed += 1
    except (OSError, asyncio.IncompleteReadError):
        found.failed += 1
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    """Read an answer whole and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])
