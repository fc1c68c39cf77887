"""One peer's turn: started, checked, loaded in closed and in open loop, overloaded, stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks.common import ROOT, Load, cpu_seconds, send_load
from benchmarks.peers.constant_rate import Array
from benchmarks.peers.environments import PeerError
from benchmarks.peers.open_loop import OpenLoad, Overload, read_overload, simulated_p99_ms, summarise
from benchmarks.peers.plan import Case, Plan
from benchmarks.peers.registry import Peer
from benchmarks.peers.running import Place, Standing, standing
from benchmarks.peers.traffic import REAL, Bodies

PER_SECOND = 4_000
"""Texts prepared for each second: more than any peer answers here, so that a load sends none twice."""

IDLE_SHARE = 0.2
"""Of a core: what a peer takes at most that has nothing to do; Ray's housekeeping takes a tenth."""

SETTLE_LIMIT_S = 30.0

WARM_S = 2
"""After the start: every worker answers, and runtimes that compile or grow have done so."""

PATIENCE_S = 2.0
"""What a caller waits for an answer under overload."""

ALONE = 500
"""Requests sent one after the other to learn their service times."""

MAY_DIFFER = 0.1
"""Share of answers that may be another: int8 activations are scaled by batch, and which texts share one differs."""


_FAILURES = (PeerError, psutil.Error, OSError, ValueError, LookupError, subprocess.SubprocessError)
"""What a peer that misbehaves, dies or says nothing leads to, here and in the clients."""


@dataclass
class Turn:
    """What one peer showed in one round; a part that failed is missing, and `failures` says why."""

    start_s: float = 0.0
    memory_mib: list[float] = field(default_factory=list)
    """Of each process after all loads, the largest first."""
    closed: dict[Case, Load] = field(default_factory=dict)
    open: list[OpenLoad] = field(default_factory=list)
    overload: Overload | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def peak(self) -> float:
        """Most requests of one text answered in a second; 0: none were."""
        return max((load.texts_per_s for case, load in self.closed.items() if case.is_ordinary), default=0.0)

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Note what fails inside, and go on after it."""
        try:
            yield
        except _FAILURES as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class Bench:
    """What every turn needs."""

    plan: Plan
    place: Place
    bodies: Bodies
    samples: Sequence[str]
    labels: Sequence[str]
    """What the model alone says of `samples`."""


def take_turn(bench: Bench, peer: Peer, python: str) -> Turn:
    """Measure `peer` once."""
    turn = Turn()
    with turn.noting(peer.name), standing(peer, python, bench.place) as server:
        turn.start_s = server.start_s
        check_answers(bench, server)
        settle(server)
        _load(bench, server, Case(REAL, 1, 16), WARM_S)
        for case in bench.plan.cases:
            with turn.noting(f"{case.texts} {case.kind} texts, {case.clients} clients"):
                turn.closed[case] = _closed(bench, server, case)
        if turn.peak:
            _open_loops(bench, server, turn)
        turn.memory_mib = server.memory_mib()
    return turn


def check_answers(bench: Bench, server: Standing) -> None:
    """Check that the peer says what the model alone says, for one text and for many.

    Raises:
        PeerError: it answers something else.
    """
    said = server.ask(bench.samples)
    if len(said) != len(bench.samples) or len(server.ask(bench.samples[:1])) != 1:
        raise PeerError(f"answers {len(bench.samples)} texts with {len(said)} labels")
    wrong = [(one, other) for one, other in zip(said, bench.labels, strict=True) if one != other]
    if server.peer.is_same_model and len(wrong) > MAY_DIFFER * len(said):
        raise PeerError(f"does not answer as the model alone does: {len(wrong)} of {len(said)}, such as {wrong[:2]}")


def settle(server: Standing) -> None:
    """Wait until the peer is idle: some go on starting, in processes beside those that answer."""
    end = time.monotonic() + SETTLE_LIMIT_S
    used = cpu_seconds(server.pid)
    while time.monotonic() < end:
        time.sleep(1)
        before, used = used, cpu_seconds(server.pid)
        if used - before < IDLE_SHARE:
            return


def _closed(bench: Bench, server: Standing, case: Case) -> Load:
    load = _load(bench, server, case, bench.plan.seconds)
    if load.requests <= load.failed:
        raise PeerError(f"no request was answered in {bench.plan.seconds} s; {load.failed} failed")
    return load


def _load(bench: Bench, server: Standing, case: Case, seconds: int) -> Load:
    count = max(2 * case.clients, PER_SECOND * seconds // case.texts)
    return send_load(
        server.port,
        server.peer.path,
        bench.bodies.write(server.peer.protocol, case.kind, case.texts, count),
        clients=case.clients,
        seconds=seconds,
        texts=case.texts,
        server=server.pid,
    )


def _open_loops(bench: Bench, server: Standing, turn: Turn) -> None:
    plan, alone = bench.plan, np.empty(0)
    with turn.noting("one after the other"):  # all are due at once, over one connection
        seen, _ = _send(bench, server, [(1e6, ALONE / 1e6)], connections=1, patience_s=60)
        alone = (seen[:, 1] - seen[:, 4])[np.isfinite(seen[:, 1])]
    for share in plan.shares:
        with turn.noting(f"open loop at {share:.0%} of the peak"):
            rate = share * turn.peak
            seen, client = _send(bench, server, [(rate, plan.open_seconds)])
            simulated = simulated_p99_ms(seen[:, 0], alone, bench.place.cores) if alone.size else None
            turn.open.append(summarise(seen, share, rate, client, simulated))
    if plan.overload_seconds:
        with turn.noting("overload"):
            turn.overload = _overload(bench, server, turn.peak)


def _overload(bench: Bench, server: Standing, peak: float) -> Overload:
    """Send half the peak, three times the peak, and half the peak again, as callers do who wait two seconds."""
    lasts = bench.plan.overload_seconds
    phases = [(peak / 2, lasts / 2), (peak * 3, lasts), (peak / 2, PATIENCE_S + lasts)]
    seen, client = _send(bench, server, phases, connections=4096, patience_s=PATIENCE_S)
    return read_overload(seen, peak, lasts / 2, lasts * 1.5, client)


def _send(
    bench: Bench,
    server: Standing,
    phases: Sequence[tuple[float, float]],
    connections: int = 64,
    patience_s: float = 10.0,
) -> tuple[Array, float]:
    """Run the client at a constant rate; return what it saw and the share of one core that it took."""
    bodies = bench.bodies.write(server.peer.protocol, REAL, 1, sum(round(rate * seconds) for rate, seconds in phases))
    output = bench.place.folder / "seen.npz"
    where = ["--port", str(server.port), "--path", server.peer.path, "--bodies", str(bodies), "--output", str(output)]
    how = ["--connections", str(connections), "--patience", str(patience_s)]
    sent = [word for rate, seconds in phases for word in ("--phase", f"{rate}:{seconds}")]
    command = [sys.executable, "-m", "benchmarks.peers.constant_rate", *where, *how, *sent]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise PeerError(f"the client failed: {done.stderr[-400:]}")
    with np.load(output) as kept:
        return kept["seen"], float(kept["client_cpu_share"])
