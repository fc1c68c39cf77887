"""What our service promises beside the raw loop and the peers, held against a result."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.plan import Case
from benchmarks.peers.reading import Figure, Ratio, Results, Turn, closed, opened, overloaded, per, ratio_over, raw
from benchmarks.peers.registry import REGRADE
from benchmarks.peers.tables import CPU, SPEED, clients_of, markdown, show
from benchmarks.peers.traffic import REAL

STOCK = ("bentoml", "bentoml batchable")
PIPELINE = "fastapi transformers"


@dataclass(frozen=True)
class Promise:
    """A ratio, the limit it is to keep, and whether the limit is the least or the most."""

    words: str
    ratio: Ratio | None
    limit: float
    is_least: bool = True

    @property
    def verdict(self) -> str:
        """Whether it is kept: on average, and with its whole interval."""
        if self.ratio is None:
            return "not measured"
        kept = self.ratio.mean >= self.limit if self.is_least else self.ratio.mean <= self.limit
        edge = self.ratio.low if self.is_least else self.ratio.high
        surely = edge is not None and (edge >= self.limit if self.is_least else edge <= self.limit)
        return "yes" if kept and surely else "on average" if kept else "**no**"


def promises(results: Results) -> list[Promise]:
    """Return every promise that is a ratio."""
    found = []
    for clients in (16, 64):
        case, words = Case(REAL, 1, clients), f"1 text, {clients} clients"
        found += [
            Promise(f"{words}: throughput, of the raw loop's", _of_raw(results, case, SPEED), 0.9),
            Promise(f"{words}: CPU a text, times the raw loop's", _of_raw(results, case, CPU), 1.25, is_least=False),
            Promise(f"{words}: throughput, times the better stock BentoML's", _against(results, case, STOCK), 1.6),
            Promise(f"{words}: throughput, times a pipeline's", _against(results, case, (PIPELINE,)), 10),
        ]
    for clients in (4, 16):
        words = f"64 texts, {clients} clients: throughput, of the sorted raw loop's"
        found.append(Promise(words, _of_raw(results, Case(REAL, 64, clients), SPEED), 0.95))
    words = "open loop at half the peak: p99 less 1 ms, times the simulated queue's"
    queue = per(_less(opened(0.5, "p99_ms"), 1.0), opened(0.5, "simulated_p99_ms"))
    found.append(Promise(words, results.ratio(REGRADE, queue), 1.3, is_least=False))
    words = "3 times the peak: good answers in time, of the peak"
    found.append(Promise(words, results.ratio(REGRADE, overloaded("good_share")), 0.9))
    return found


def _of_raw(results: Results, case: Case, figure: str) -> Ratio | None:
    return results.ratio(REGRADE, per(closed(case, figure), raw(case.texts, figure)))


def _against(results: Results, case: Case, others: tuple[str, ...]) -> Ratio | None:
    """Return our throughput over that of the best of `others` in each round, each relative to its raw loop."""
    figure = per(closed(case, SPEED), raw(case.texts, SPEED))
    ours, theirs = results.by_round(REGRADE, figure), [results.by_round(other, figure) for other in others]
    best = {number: max(one.get(number, 0.0) for one in theirs) for number in ours}
    return ratio_over([ours[number] / best[number] for number in ours if best[number]])


def _less(figure: Figure, by: float) -> Figure:
    def less(turn: Turn) -> float | None:
        value = figure(turn)
        return None if value is None else max(value - by, 0.001)

    return less


def as_table(results: Results) -> str:
    """Return the promises as a table in Markdown."""
    rows = [
        [one.words, f"{'≥' if one.is_least else '≤'} {one.limit:g}", show(one.ratio), one.verdict]
        for one in promises(results)
    ]
    return markdown(["promise", "limit", "measured", "kept"], rows)


def who_is_ahead(results: Results) -> list[str]:
    """Return a line for each peer with the same model that is faster than ours, or has a lower p99, at some load."""
    lines = []
    for clients in (1, 4, 16, 64, 256):
        case = Case(REAL, 1, clients)
        speed = per(closed(case, SPEED), raw(1, SPEED))
        for name in results.names:
            if name.startswith(REGRADE) or name == PIPELINE:
                continue
            faster = results.between(REGRADE, name, speed)
            quicker = results.between(REGRADE, name, closed(case, "p99_ms"))
            if faster and faster.mean < 1:
                lines.append(f"{name} is faster with {clients_of(case)}: we do {show(faster)} of its throughput")
            if quicker and quicker.mean > 1:
                lines.append(f"{name} has the lower p99 with {clients_of(case)}: ours is {show(quicker)} times its")
    return lines
