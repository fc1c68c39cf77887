"""Ten thousand idle connections: what each costs one worker, and what the others notice of them.

`python -m benchmarks.idle` takes about two minutes. Every idle client has asked once and holds its connection; the
server may close it after its keep-alive time, so that what is still open is counted as well.
"""

from __future__ import annotations

import argparse
import resource
import select
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import ROOT, Load, keep_result, machine, need_tool, real_texts, send_load, serving, write_bodies
from benchmarks.memory import serving_processes
from core.settings import load_settings

PORT, TASK, CLIENTS = 3261, "support-intent", 16
_ASKED = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_SPARE = 200


def resident(pid: int) -> int:
    """Return the bytes of the workers below `pid`."""
    return sum(process.memory_info().rss for process in serving_processes(pid))


@contextmanager
def holding(wanted: int) -> Iterator[list[socket.socket]]:
    """Hold `wanted` connections, each of which has asked once and was answered, until the block ends."""
    held: list[socket.socket] = []
    try:
        for _ in range(wanted):
            one = socket.create_connection(("127.0.0.1", PORT), timeout=30)
            held.append(one)
            one.sendall(_ASKED)
            one.recv(4096)
        yield held
    finally:
        for one in held:
            one.close()


def count_open(held: list[socket.socket]) -> int:
    """Return how many connections the server has not closed."""
    poller = select.poll()
    for one in held:
        poller.register(one, select.POLLIN)
    return len(held) - len(poller.poll(0))


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    given = parser.parse_args()
    need_tool("wrk")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < given.connections + _SPARE:
        sys.exit(f"skipped: {given.connections} connections need as many open files; `ulimit -Hn` is {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    about, settings = machine(), load_settings()
    environment = {"REGRADE_HOME": str(settings.home), "BENTOML_HOME": str(settings.bentoml_home)}
    environment |= {"REGRADE_WORKERS": "1", "REGRADE_TASKS": TASK, "BENTOML_DO_NOT_TRACK": "True"}
    with tempfile.TemporaryDirectory() as work, serving("service.app:Regrade", PORT, environment) as pid:
        bodies = write_bodies(Path(work), real_texts(), 1)

        def load() -> Load:
            path = f"/v1/tasks/{TASK}/predict"
            return send_load(PORT, path, bodies, clients=CLIENTS, seconds=given.seconds, texts=1, server=pid)

        load()
        without, before = load(), resident(pid)
        with holding(given.connections) as held:
            at_first, after = count_open(held), resident(pid)
            beside = load()
            left = count_open(held)
    each = (after - before) / given.connections
    ratio = beside.p99_ms / without.p99_ms
    print(
        f"{given.connections} connections: {each / 1024:.1f} KiB each; {at_first} open at once, {left} after the load"
    )
    print(f"p99 of {CLIENTS} others: {beside.p99_ms:.1f} ms, {without.p99_ms:.1f} ms without them ({ratio:.2f} times)")
    result = {"connections": given.connections, "bytes_each": each, "open": at_first, "open_after_load": left}
    rounds = {"p99_ratio": ratio, "without": asdict(without), "beside": asdict(beside)}
    print(f"kept in {keep_result('idle', {**result, **rounds}, about).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
