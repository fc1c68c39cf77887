"""What is counted of a trial: services add to it every second, and each of its steps has figures of its own.

Side by side for the candidate and the champion: a canary's `requests` with their `texts`, those in which the version
failed (`errors`), and how long they took from entering the queue to being judged; a shadow's `texts` one by one, in how
many of them both said the same (`agreements`), and how many were not scored because the worker was busy (`dropped`).
`broken` counts the workers that could not load the candidate.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, select

from feedback.bulk import write_rows
from feedback.schema import trial_figures
from feedback.store import Store
from feedback.upsert import add_counts

Side = Literal["candidate", "champion"]
CountKey = tuple[str, int, Side, str]
"""Trial, step, side, name of the counter."""

EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
"""Upper edges, in milliseconds, of the histogram of how long it took; what took longer is in one more bucket."""

_SUM = "milliseconds"
_BUCKET = "within "


@dataclass(frozen=True)
class SideFigures:
    """One side of one step, or of several; `took` is the histogram, by the edges of `EDGES_MS` and one bucket more."""

    requests: int = 0
    texts: int = 0
    errors: int = 0
    agreements: int = 0
    dropped: int = 0
    broken: int = 0
    milliseconds: float = 0.0
    took: Sequence[int] = field(default=(0,) * (len(EDGES_MS) + 1))

    @property
    def mean_ms(self) -> float | None:
        """Milliseconds that a request took on average, in a shadow a text; None where nothing was timed."""
        return self.milliseconds / sum(self.took) if sum(self.took) else None

    def percentile_ms(self, share: float) -> float | None:
        """Return the milliseconds within which a `share`, 0 to 1, of them was done.

        That is the upper edge of the histogram's bucket; infinite beyond the last one, None where nothing was timed.
        """
        left = share * sum(self.took)
        if not left:
            return None
        for edge, count in zip((*EDGES_MS, float("inf")), self.took, strict=True):
            left -= count
            if left <= 0:
                return float(edge)
        return float("inf")


BySide = dict[Side, SideFigures]


def timed(milliseconds: float) -> dict[str, float]:
    """Return the counts that tell how long one request, or one text of a shadow, took."""
    bucket = bisect_left(EDGES_MS, milliseconds)
    return {_SUM: milliseconds, f"{_BUCKET}{bucket}": 1}


def add_figures(store: Store, counts: Mapping[CountKey, float]) -> None:
    """Add to the figures of trials; in the order of the keys, so that two writers cannot deadlock.

    Raises:
        UnavailableError: the store is away.
    """
    names = ("trial_id", "step", "side", "name", "n")
    rows = [dict(zip(names, (*key, counts[key]), strict=True)) for key in sorted(counts)]
    if rows:
        with store.write() as connection:
            write_rows(connection, add_counts(connection, trial_figures, "n"), rows)


def read_figures(connection: Connection, trial_ids: Collection[str]) -> dict[str, dict[int, BySide]]:
    """Return the figures of trials, by trial, step and side; steps in which nothing was counted are missing."""
    wanted = select(trial_figures).where(trial_figures.c.trial_id.in_(sorted(trial_ids)))
    counts: dict[tuple[str, int, Side], dict[str, float]] = {}
    for trial_id, step, side, name, n in connection.execute(wanted):
        counts.setdefault((trial_id, step, side), {})[name] = n
    found: dict[str, dict[int, BySide]] = {}
    for (trial_id, step, side), named in counts.items():
        found.setdefault(trial_id, {}).setdefault(step, {})[side] = _figures_of(named)
    return found


def in_all(steps: Mapping[int, BySide], side: Side) -> SideFigures:
    """Return the figures of one side in all steps together."""
    mine = [by_side[side] for by_side in steps.values() if side in by_side]
    took = [sum(counts) for counts in zip(*(one.took for one in mine), strict=True)] if mine else SideFigures().took
    return SideFigures(
        requests=sum(one.requests for one in mine),
        texts=sum(one.texts for one in mine),
        errors=sum(one.errors for one in mine),
        agreements=sum(one.agreements for one in mine),
        dropped=sum(one.dropped for one in mine),
        broken=sum(one.broken for one in mine),
        milliseconds=sum(one.milliseconds for one in mine),
        took=took,
    )


def _figures_of(named: Mapping[str, float]) -> SideFigures:
    took = tuple(int(named.get(f"{_BUCKET}{bucket}", 0)) for bucket in range(len(EDGES_MS) + 1))
    return SideFigures(**dict(_whole(named)), milliseconds=named.get(_SUM, 0.0), took=took)


def _whole(named: Mapping[str, float]) -> Iterator[tuple[str, Any]]:
    for name, n in named.items():
        if name != _SUM and not name.startswith(_BUCKET):
            yield name, int(n)
