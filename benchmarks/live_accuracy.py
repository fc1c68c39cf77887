"""Whether the interval of the live accuracy holds: simulated months whose true accuracy is known.

`python -m benchmarks.live_accuracy` takes a minute or two. A month is made of predictions with confidences, labels of
different difficulty and sizes, drawn by triage as the service does (low confidence, drift, audit), and resolved at
different rates by label and kind. Each kind of month is made 1,000 times; the true accuracy must be in the 95 %
interval in 93 to 97 of 100, and the naive mean's own 95 % interval must not be.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, keep_result, machine
from feedback.sampling import Drawn, Estimate, accuracy_of_all, error_of_unasked

MONTHS = 1000
HELD = (0.93, 0.97)


@dataclass(frozen=True)
class Kind:
    """A kind of month: how many predictions, labels, and how triage draws.

    `doubtful` is the share of low confidence, of which `asked` is drawn (below 1 under a budget); `resolved` are the
    shares of the drawn that people get done, of the confident and of the doubtful ones.
    """

    name: str
    predictions: int = 20_000
    labels: int = 10
    doubtful: float = 0.15
    asked: float = 1.0
    audit: float = 0.02
    confident_error: float = 0.03
    doubtful_error: float = 0.4
    resolved: tuple[float, float] = (0.9, 0.9)


KINDS = [
    Kind("usual"),
    Kind("audits wait longest", resolved=(0.5, 0.95)),
    Kind("a budget", asked=0.3),
    Kind("few predictions", predictions=3_000),
    Kind("very few", predictions=1_000),
    Kind("rare errors", confident_error=0.005, doubtful=0.05),
    Kind("many labels", labels=150, resolved=(0.8, 0.9)),
    Kind("larger audit", audit=0.1),
    Kind("poor model", confident_error=0.2, doubtful=0.3),
]


@dataclass(frozen=True)
class Month:
    """What is known of a month, and the truth: the share that was right, and that wrong among those not drawn."""

    drawn: Drawn
    accuracy: float
    unasked_error: float


@dataclass(frozen=True)
class Coverage:
    """Shares of months whose truth lay in the interval; `width` and `error` are means of the estimate's interval."""

    kind: str
    estimate: float
    naive: float
    unasked: float
    width: float
    error: float
    reviewed: float


def make_month(kind: Kind, random: np.random.Generator) -> Month:
    """Make a month of that kind."""
    n = kind.predictions
    labels = random.choice(kind.labels, n, p=random.dirichlet(np.full(kind.labels, 2.0)))
    doubtful, drifting = random.random(n) < kind.doubtful, random.random(n) < 0.05
    difficulty = random.lognormal(-0.08, 0.4, kind.labels)[labels]
    chance = np.where(doubtful, kind.doubtful_error, kind.confident_error) * difficulty * np.where(drifting, 2.0, 1.0)
    wrong = random.random(n) < np.minimum(chance, 0.95)
    missed = (1 - kind.audit) * np.where(drifting, 0.9, 1.0) * np.where(doubtful, 1 - kind.asked, 1.0)
    inclusion: NDArray[np.float64] = 1 - missed
    drawn = random.random(n) < inclusion
    pace = random.uniform(0.6, 1.0, kind.labels)[labels] * np.where(doubtful, kind.resolved[1], kind.resolved[0])
    seen = np.where(random.random(n) < pace, wrong.astype(np.float64), np.nan)
    known = Drawn(labels[drawn], inclusion[drawn], seen[drawn], n, float(inclusion.sum()))
    return Month(known, 1 - float(wrong.mean()), float(wrong[~drawn].mean()))


def naive_interval(found: Estimate) -> tuple[float, float]:
    """Return what one would say who took the reviewed predictions for a random sample."""
    half = 1.96 * sqrt(found.naive * (1 - found.naive) / found.n_reviewed)
    return found.naive - half, found.naive + half


def coverage(kind: Kind, months: int, seed: int = 1) -> Coverage:
    """Make `months` of that kind, and count how often the truth is where it was said to be."""
    rows = []
    for random in (np.random.default_rng([seed, month]) for month in range(months)):
        month = make_month(kind, random)
        found, unasked = accuracy_of_all(month.drawn), error_of_unasked(month.drawn)
        if found is None or unasked is None:
            raise RuntimeError(f"a month of the kind {kind.name!r} has nothing resolved")
        low, high = naive_interval(found)
        rows.append(
            (
                found.low <= month.accuracy <= found.high,
                low <= month.accuracy <= high,
                unasked.low <= month.unasked_error <= unasked.high,
                found.high - found.low,
                found.estimate - month.accuracy,
                found.n_reviewed,
            )
        )
    return Coverage(kind.name, *(float(mean) for mean in np.mean(rows, axis=0)))


def main() -> None:
    """Measure, print, and keep the result."""
    about = machine()
    found = [coverage(kind, MONTHS) for kind in KINDS]
    table = Table(
        "month", "covered", "naive", "unasked error", "width", "mean error", "reviewed", title="95 % intervals"
    )
    for one in found:
        shares = (f"{share:.1%}" for share in (one.estimate, one.naive, one.unasked))
        table.add_row(one.kind, *shares, f"{one.width:.4f}", f"{one.error:+.5f}", f"{one.reviewed:,.0f}")
    Console().print(table)
    every = float(np.mean([one.estimate for one in found]))
    print(f"all kinds together: {every:.1%} covered, by the naive mean {np.mean([one.naive for one in found]):.1%}")
    held = all(HELD[0] <= one.estimate <= HELD[1] for one in found) and all(one.naive < HELD[0] for one in found)
    print("held" if held else "BROKEN")
    result = {"months_a_kind": MONTHS, "kinds": [asdict(kind) for kind in KINDS], "coverage": found, "held": held}
    print(f"kept in {keep_result('live_accuracy', result, about).relative_to(ROOT)}")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
