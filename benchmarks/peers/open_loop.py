"""What an open loop showed: latencies, a queue to hold them against, and what overload did. Pure."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.constant_rate import Array

WINDOW_S = 0.5
"""The recovery from overload is judged in windows of this length."""


@dataclass(frozen=True)
class OpenLoad:
    """Latencies at a given rate, counted from when each request was due."""

    share: float
    """Of the peer's peak in a closed loop."""
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    failed: int
    simulated_p99_ms: float | None
    """Of a queue with the same arrivals, measured service times and workers; None: they could not be measured."""
    sent_late_p99_ms: float
    """How late the client sent: part of every latency here."""
    client_cpu_share: float
    """Of one core."""


@dataclass(frozen=True)
class Overload:
    """What three times the peak did."""

    good_share: float
    """Answers in time a second, as a share of the peak."""
    refused_share: float
    """429 with Retry-After, of all that was sent."""
    unanswered_share: float
    """No reply in time, or another status than 200 and 429, of all that was sent."""
    refusal_p99_ms: float | None
    """How long a refusal took; None: there were none."""
    before_p99_ms: float
    """At half the peak."""
    back_after_s: float | None
    """Seconds after the overload until p99 stays within twice that; None: longer than was watched."""
    client_cpu_share: float


def percentile_ms(seconds: Array, percentile: float) -> float:
    """Return a percentile of latencies in milliseconds.

    Raises:
        ValueError: there are none.
    """
    if not seconds.size:
        raise ValueError("no request was answered")
    return float(np.percentile(seconds, percentile) * 1000)


def simulated_latencies(due: Array, service: Array, workers: int) -> Array:
    """Return the latencies, in seconds, of one first-come queue before `workers` that each take one at a time.

    `due` `(n,)` are the arrivals in order, `service` `(m,)` the times that requests take, which are gone through again
    and again.
    """
    free = [0.0] * workers
    latencies = np.empty(due.size)
    for number, arrival in enumerate(due.tolist()):
        end = max(arrival, heapq.heappop(free)) + float(service[number % service.size])
        heapq.heappush(free, end)
        latencies[number] = end - arrival
    return latencies


def simulated_p99_ms(due: Array, service: Array, workers: int) -> float:
    """Return the p99 of `simulated_latencies` in milliseconds."""
    return percentile_ms(simulated_latencies(due, service, workers), 99)


def summarise(seen: Array, share: float, rate: float, client: float, simulated: float | None) -> OpenLoad:
    """Return what `seen` `(n, 5)` says, in the columns of `constant_rate`."""
    answered = seen[seen[:, 2] == 200, 1]
    return OpenLoad(
        share=share,
        rate=rate,
        p50_ms=percentile_ms(answered, 50),
        p99_ms=percentile_ms(answered, 99),
        p999_ms=percentile_ms(answered, 99.9),
        failed=len(seen) - answered.size,
        simulated_p99_ms=simulated,
        sent_late_p99_ms=percentile_ms(seen[np.isfinite(seen[:, 4]), 4], 99),
        client_cpu_share=client,
    )


def read_overload(seen: Array, peak: float, begins: float, ends: float, client: float) -> Overload:
    """Return what happened to the requests due from `begins` to `ends`, in seconds, and how it was after them."""
    due, latency, status, retry_after = seen[:, 0], seen[:, 1], seen[:, 2], seen[:, 3]
    during = (due >= begins) & (due < ends)
    good, refused = during & (status == 200), during & (status == 429) & (retry_after > 0)
    before = percentile_ms(latency[(due < begins) & (status == 200)], 99)
    return Overload(
        good_share=float(good.sum() / (ends - begins) / peak),
        refused_share=float(refused.sum() / during.sum()),
        unanswered_share=float((during & ~good & ~refused).sum() / during.sum()),
        refusal_p99_ms=percentile_ms(latency[refused], 99) if refused.any() else None,
        before_p99_ms=before,
        back_after_s=_back_after(seen[due >= ends], ends, 2 * before),
        client_cpu_share=client,
    )


def _back_after(seen: Array, ends: float, normal_ms: float) -> float | None:
    """Return when the last window ended that was worse than `normal_ms` or failed a request."""
    last = 0.0
    windows = np.floor((seen[:, 0] - ends) / WINDOW_S)
    for window in np.unique(windows):
        rows = seen[windows == window]
        if (rows[:, 2] != 200).any() or percentile_ms(rows[:, 1], 99) > normal_ms:
            last = float((window + 1) * WINDOW_S)
    return None if windows.size and last > float(windows[-1]) * WINDOW_S else last
