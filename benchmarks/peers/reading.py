"""Figures from the turns of a result, and ratios with intervals over rounds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from scipy.stats import t as student  # type: ignore[import-untyped]

from benchmarks.peers.plan import Case

Turn = Mapping[str, Any]
"""A turn as a result keeps it."""

Figure = Callable[[Turn], float | None]
"""A figure of a turn; None where it was not measured."""


@dataclass(frozen=True)
class Ratio:
    """A geometric mean over rounds, and its interval of 95 % by Student's t of the logarithms.

    `low` and `high` are None with fewer than two rounds.
    """

    mean: float
    low: float | None
    high: float | None


def ratio_over(values: Sequence[float]) -> Ratio | None:
    """Return the ratio that positive `values`, one a round, speak of; None when there are none."""
    logs = [math.log(value) for value in values if value > 0]
    if len(logs) < 2:
        return Ratio(math.exp(logs[0]), None, None) if logs else None
    half = float(student.ppf(0.975, len(logs) - 1)) * stdev(logs) / math.sqrt(len(logs))
    middle = fmean(logs)
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def closed(case: Case, name: str) -> Figure:
    """Return the figure `name` of a closed loop."""

    def figure(turn: Turn) -> float | None:
        for load in turn["closed"]:
            if (load["kind"], load["texts"], load["clients"]) == (case.kind, case.texts, case.clients):
                return float(load[name])
        return None

    return figure


def opened(share: float, name: str) -> Figure:
    """Return the figure `name` of the open loop at `share` of the peak."""

    def figure(turn: Turn) -> float | None:
        found = [load[name] for load in turn["open"] if load["share"] == share]
        return found[0] if found else None

    return figure


def overloaded(name: str) -> Figure:
    """Return the figure `name` of the overload."""
    return lambda turn: turn["overload"][name] if turn["overload"] else None


def raw(texts: int, name: str) -> Figure:
    """Return the figure `name` of the raw loop before the turn, with `texts` at a time."""
    return lambda turn: float(turn["raw"][str(texts)][name])


def of_turn(name: str) -> Figure:
    """Return a figure of the turn itself, such as `start_s`; 0 means that it was not measured."""
    return lambda turn: turn[name] or None


def per(above: Figure, below: Figure) -> Figure:
    """Return the quotient of two figures of the same turn."""

    def figure(turn: Turn) -> float | None:
        one, other = above(turn), below(turn)
        return one / other if one is not None and other else None

    return figure


@dataclass(frozen=True)
class Results:
    """The turns of a result."""

    turns: Sequence[Turn]

    @property
    def names(self) -> list[str]:
        """Peers that were measured, in the order of the first round."""
        return list(dict.fromkeys(turn["peer"] for turn in self.turns))

    def by_round(self, peer: str, figure: Figure) -> dict[int, float]:
        """Return a figure of a peer in each round that has it."""
        found = {turn["round"]: figure(turn) for turn in self.turns if turn["peer"] == peer}
        return {number: value for number, value in found.items() if value is not None}

    def middle(self, peer: str, figure: Figure) -> float | None:
        """Return the median of a figure over rounds; None when no round has it."""
        values = self.by_round(peer, figure)
        return median(values.values()) if values else None

    def ratio(self, peer: str, figure: Figure) -> Ratio | None:
        """Return a figure that is a ratio, over rounds."""
        return ratio_over(list(self.by_round(peer, figure).values()))

    def between(self, one: str, other: str, figure: Figure) -> Ratio | None:
        """Return how many times `figure` of `other` that of `one` is, compared within rounds."""
        above, below = self.by_round(one, figure), self.by_round(other, figure)
        return ratio_over([above[number] / below[number] for number in above if below.get(number)])
