"""Counts that are handed over together are those of Prometheus' own calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.tallies import Tallies

BOUNDS = (0.1, 0.25, 0.5, 1.0)
VALUES = st.lists(st.floats(0, 2, allow_nan=False) | st.sampled_from(BOUNDS), max_size=30)


@given(st.lists(VALUES, max_size=4))
def test_what_is_tallied_is_what_is_counted_one_by_one(flushes: list[list[float]]) -> None:
    told = []
    for tallied in (False, True):
        registry, tallies = CollectorRegistry(), Tallies()
        histogram = Histogram("seconds", "Of something.", ("of",), buckets=BOUNDS, registry=registry).labels("a")
        counter = Counter("things", "Of something.", ("of",), registry=registry).labels("a")
        histogram_tally, counter_tally = tallies.histogram(histogram), tallies.counter(counter)
        for values in flushes:
            for value in values:
                if tallied:
                    histogram_tally.add(value)
                    counter_tally.add(value)
                else:
                    histogram.observe(value)
                    counter.inc(value)
            tallies.flush()
        lines = generate_latest(registry).decode().splitlines()
        told.append(
            {
                line.rsplit(" ", 1)[0]: round(float(line.rsplit(" ", 1)[1]), 6)
                for line in lines
                if line[0] != "#" and "_created" not in line
            }
        )
    assert told[0] == told[1]


def test_nothing_is_counted_twice() -> None:
    registry, tallies = CollectorRegistry(), Tallies()
    tally = tallies.counter(Counter("things", "Of something.", registry=registry))
    tally.add()
    tallies.flush()
    tallies.flush()
    tally.add(2)
    tallies.flush()
    assert registry.get_sample_value("things_total") == 3
