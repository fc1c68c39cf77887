"""Counts of the hot path, kept in plain numbers and handed to Prometheus together.

In multiprocess mode each step of a counter is a write into a mapped file under a lock, and a text takes a dozen of
them: together they cost more than redaction and triage do. `Tallies.flush` makes one of many.
"""

from __future__ import annotations

import threading
from bisect import bisect_left

from prometheus_client import Counter, Histogram


class CounterTally:
    """What is to be added to a counter."""

    __slots__ = ("_changed", "_counter", "_waiting")

    def __init__(self, counter: Counter, changed: list[Tally]) -> None:
        """Add to `counter`, a child without open labels; be among `changed` while something is to be added."""
        self._counter = counter
        self._changed = changed
        self._waiting = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Count `amount`, at least 0."""
        if not self._waiting:
            self._changed.append(self)
        self._waiting += amount

    def flush(self) -> None:
        """Hand over what was counted."""
        self._counter.inc(self._waiting)
        self._waiting = 0.0


class HistogramTally:
    """What is to be added to a histogram.

    Prometheus' client has no call for several observations at once, so that this adds to the buckets behind its back:
    they are private there, and a test compares what comes out.
    """

    __slots__ = ("_bounds", "_changed", "_counts", "_histogram", "_sum")

    def __init__(self, histogram: Histogram, changed: list[Tally]) -> None:
        """Add to `histogram`, a child without open labels; be among `changed` while something is to be added."""
        self._histogram = histogram
        self._changed = changed
        self._bounds: list[float] = list(histogram._upper_bounds)  # noqa: SLF001
        self._counts: dict[int, int] = {}
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one observation."""
        if not self._counts:
            self._changed.append(self)
        place = bisect_left(self._bounds, value)
        self._counts[place] = self._counts.get(place, 0) + 1
        self._sum += value

    def flush(self) -> None:
        """Hand over what was counted."""
        for place, count in self._counts.items():
            self._histogram._buckets[place].inc(count)  # noqa: SLF001
        self._histogram._sum.inc(self._sum)  # noqa: SLF001
        self._counts = {}
        self._sum = 0.0


Tally = CounterTally | HistogramTally


class Tallies:
    """All tallies of a process; what is added to them and flushed is so under `lock`."""

    def __init__(self) -> None:
        """Begin with none."""
        self.lock = threading.Lock()
        self._changed: list[Tally] = []

    def counter(self, counter: Counter) -> CounterTally:
        """Return a new tally for `counter`."""
        return CounterTally(counter, self._changed)

    def histogram(self, histogram: Histogram) -> HistogramTally:
        """Return a new tally for `histogram`."""
        return HistogramTally(histogram, self._changed)

    def flush(self) -> None:
        """Hand everything to Prometheus."""
        with self.lock:
            for tally in self._changed:
                tally.flush()
            self._changed.clear()
