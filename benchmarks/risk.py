"""How often the risk promise is broken, on simulated populations whose true risk is known.

`python -m benchmarks.risk` takes a minute. Each calibration draws rows that declare the path and rows that certify, and
is broken if the true error of what it leaves unreviewed is above the accepted one. At most 5 % of 2,000 may be.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest  # type: ignore[import-untyped]

from benchmarks.common import keep_result, machine
from training.risk import Answers, choose_thresholds, declare_path

CONFIDENCE = 0.95
CALIBRATIONS = 2000
_TRUTH = 400_000


@dataclass(frozen=True)
class Population:
    """Traffic of which everything is known.

    Confidence is drawn from a beta distribution `shape`; an answer of confidence c is right with probability
    `c ** bias`, so that a bias above 1 is a model too sure of itself, or, with `flat`, wrong with that probability
    whatever its confidence; a share `outside` of the texts is out of scope. `rows` certify.
    """

    name: str
    shape: tuple[float, float]
    bias: float
    outside: float
    rows: int
    max_error: float
    flat: float | None = None

    def draw(self, n: int, seed: int, *, outside: float | None = None) -> Answers:
        """Draw `n` answers; out-of-scope ones are always wrong, less confident and of higher out-of-scope scores."""
        rng = np.random.default_rng([seed, n])
        strange = rng.uniform(size=n) < (self.outside if outside is None else outside)
        confidence = np.where(strange, rng.beta(3, 2, n), rng.beta(*self.shape, n))
        score = np.where(strange, rng.beta(3, 2, n), rng.beta(0.3, 6, n))
        risk = 1.0 - confidence**self.bias if self.flat is None else np.full(n, self.flat)
        wrong = strange | (rng.uniform(size=n) < risk)
        return Answers(confidence, score, wrong)


POPULATIONS = (
    Population("calibrated", (3, 0.2), 1.0, 0.0, 400, 0.05),
    Population("too sure of itself", (3, 0.2), 1.5, 0.0, 400, 0.05),
    Population("with out of scope", (3, 0.2), 1.0, 0.1, 400, 0.05),
    Population("few rows", (3, 0.2), 1.0, 0.05, 150, 0.06),
    Population("many rows", (3, 0.2), 1.0, 0.1, 4000, 0.03),
    # The hardest of all: no threshold keeps the promise, and every one breaks it by a hair.
    Population("just too bad", (3, 0.2), 1.0, 0.0, 400, 0.05, flat=0.0505),
)


@dataclass(frozen=True)
class Calibration:
    """One try: whether it was `certified`, whether the promise was `broken`, the true share `answered` unreviewed.

    `naive_broken` is what would have been of the loosest threshold with an observed error of at most `max_error`.
    """

    certified: bool
    broken: bool
    answered: float
    naive_broken: bool


class _Truth:
    """True error and share answered of every trust, from a draw large enough to know them."""

    def __init__(self, population: Population) -> None:
        rows = population.draw(_TRUTH, 10**6)
        trust = np.where(rows.out_of_scope <= 0.5, np.minimum(rows.confidence, 1.0 - rows.out_of_scope), 0.0)
        order = np.argsort(-trust)
        self._trust: NDArray[np.floating] = -trust[order]
        self._errors = np.cumsum(rows.wrong[order])

    def at(self, trust: float) -> tuple[float, float]:
        """Return the true error, 0 where nothing is answered, and the share answered."""
        kept = int(np.searchsorted(self._trust, -trust, side="right"))
        return (float(self._errors[kept - 1]) / kept if kept else 0.0), kept / _TRUTH


@lru_cache
def _truth(population: Population) -> _Truth:
    return _Truth(population)


def calibrate_once(population: Population, seed: int) -> Calibration:
    """Declare a path on a thousand in-scope rows, certify on others, and compare with the truth."""
    asked = (population.max_error, CONFIDENCE)
    path = declare_path(population.draw(1000, 2 * seed, outside=0.0), population.rows, *asked)
    rows = population.draw(population.rows, 2 * seed + 1)
    chosen = choose_thresholds(path, rows, 0, *asked)
    error, answered = _truth(population).at(chosen.trust)
    steps = chosen.trade_off
    good = np.flatnonzero(steps.errors <= population.max_error * steps.answered)
    naive = _truth(population).at(float(path[good[-1]]))[0] if len(good) else 0.0
    certified = chosen.risk.certified
    return Calibration(certified, certified and error > population.max_error, answered, naive > population.max_error)


def measure(population: Population, calibrations: int) -> dict[str, object]:
    """Calibrate many times; return how often the promise was broken, and the p-value of its being too often."""
    tries = [calibrate_once(population, seed) for seed in range(calibrations)]
    broken = sum(one.broken for one in tries)
    return {
        "population": population,
        "calibrations": calibrations,
        "broken": broken,
        "share_broken": broken / calibrations,
        "p_value": float(binomtest(broken, calibrations, 1.0 - CONFIDENCE, alternative="greater").pvalue),
        "certified": sum(one.certified for one in tries) / calibrations,
        "answered_when_certified": float(np.mean([one.answered for one in tries if one.certified] or [0.0])),
        "naive_share_broken": sum(one.naive_broken for one in tries) / calibrations,
    }


def main() -> None:
    """Measure, print, and keep the result; exit with 1 if a promise is broken too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrations", type=int, default=CALIBRATIONS)
    calibrations: int = parser.parse_args().calibrations
    about = machine()
    table = Table("population", "accepted", "broken", "p", "certified", "answered", "broken without the test")
    results = [measure(population, calibrations) for population in POPULATIONS]
    for population, found in zip(POPULATIONS, results, strict=True):
        shares = (found[name] for name in ("certified", "answered_when_certified", "naive_share_broken"))
        table.add_row(
            population.name,
            f"{population.max_error:.0%}",
            f"{found['broken']} / {calibrations:,}",
            f"{found['p_value']:.3f}",
            *(f"{share:.1%}" for share in shares),
        )
    Console().print(table)
    keep_result("risk", {"confidence": CONFIDENCE, "results": results}, about)
    if any(float(str(found["p_value"])) < 0.05 / len(POPULATIONS) for found in results):
        raise SystemExit("a promise is broken in significantly more than 5 % of the calibrations")


if __name__ == "__main__":
    main()
