"""How often the gate is wrong, and how often it finds what is there: simulated candidates whose true gain is known.

`python -m benchmarks.gate` takes some minutes on one core. The primary test alone is worked out exactly on a grid of
gains, gold sizes and shares of rows that only one of the two models has right. For the whole gate, with audits,
corrections, new answers and cross-validated rows, champion and candidate are simulated answer by answer; and the checks
of new answers are tried on good and bad batches of thirty. It draws the power curves and fails if an error rate is
above what is promised.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binom, binomtest  # type: ignore[import-untyped]

from benchmarks.common import RESULTS, keep_result, machine
from benchmarks.gate_picture import Curve, Panel, draw_panels
from benchmarks.simulated import BATCHES, Floats, Ground, batch_of, evidence_for
from tasks.declaration import GateLimits
from training.gate import judge
from training.gate_checks import doubt_contradictions, doubt_plausibility, settle_doubts
from training.paired_tests import passes

TESTS = {
    "superiority": GateLimits(test="superiority"),
    "non-inferiority, 2 points": GateLimits(),
    "non-inferiority, 1 point": GateLimits(margin=0.01),
}
SIZES = (200, 500, 1000, 2000, 4000)
DISAGREEMENTS = (0.02, 0.04, 0.06, 0.08, 0.12)
GAINS = tuple(round(gain / 200, 3) for gain in range(-8, 9))

GATE_GAINS = (-0.04, -0.02, -0.01, 0.0, 0.01, 0.02, 0.04)
GATE_DISAGREEMENTS = (0.02, 0.06, 0.1)
GATES = 150
EQUAL_GATES = 400
BATCHES_EACH = 400


@dataclass(frozen=True)
class Power:
    """How often a test on `rows` passes, of which a share `disagreement` differs, at a true `gain`."""

    test: str
    rows: int
    disagreement: float
    gain: float
    passed: float


@dataclass(frozen=True)
class Whole:
    """Shares of whole gates by decision, of those whose primary test passed, and that any check for worse refused."""

    kind: str
    rows: int
    disagreement: float
    gain: float
    gates: int
    shown: float
    passed: float
    failed: float
    doubted: float


@dataclass(frozen=True)
class Batch:
    """The share of batches of thirty new answers that the checks of answers refuse."""

    kind: str
    labels: int
    drawn: bool
    refused: float


def primary_power() -> list[Power]:
    """Return how often the primary test passes: exactly, by adding up the chances of all outcomes that pass."""
    found = []
    for rows in SIZES:
        for share in DISAGREEMENTS:
            for gain in (one for one in GAINS if abs(one) <= share):
                gains, losses, chances = outcomes(rows, (share + gain) / 2, (share - gain) / 2)
                for name, limits in TESTS.items():
                    passed = passes(gains, losses, rows, limits, limits.margin)
                    found.append(Power(name, rows, share, gain, float(chances[passed].sum())))
    return found


def outcomes(rows: int, won: float, lost: float) -> tuple[Floats, Floats, Floats]:
    """Return all numbers of gains and losses that are not out of the question, and their trinomial chances."""
    every = np.arange(rows + 1)
    gains, losses = (every[binom.pmf(every, rows, share) > 1e-12] for share in (won, lost))
    grid = np.meshgrid(gains, losses, indexing="ij")
    possible = grid[0] + grid[1] <= rows
    first, second = grid[0][possible], grid[1][possible]
    left = rows - first
    chances = binom.pmf(first, rows, won) * binom.pmf(second, left, lost / (1 - won))
    return first.astype(np.float64), second.astype(np.float64), np.asarray(chances, dtype=np.float64)


def whole_power(random: np.random.Generator) -> list[Whole]:
    """Simulate all evidence, and ask the whole gate."""
    grounds = [
        Ground("gold alone", 1000, share, gain)
        for share in GATE_DISAGREEMENTS
        for gain in GATE_GAINS
        if abs(gain) <= share
    ]
    grounds += [Ground("with folds", 300, 0.02, gain, 4000, gain) for gain in (-0.02, 0.0)]
    grounds += [Ground("folds that see no harm", 300, 0.02, -0.02, 4000, 0.0)]
    return [_whole(ground, random) for ground in grounds]


def _whole(ground: Ground, random: np.random.Generator) -> Whole:
    gates = EQUAL_GATES if ground.gain == 0 else GATES
    verdicts = [judge(evidence_for(ground, random), GateLimits()) for _ in range(gates)]
    tests = {"accuracy", "ancestor"}
    doubted = [
        any(check.outcome == "fail" and check.name not in tests for check in verdict.checks) for verdict in verdicts
    ]
    passed, failed = (
        float(np.mean([verdict.decision == wanted for verdict in verdicts])) for wanted in ("pass", "fail")
    )
    shown = float(np.mean([verdict.checks[0].outcome == "pass" for verdict in verdicts]))
    about = (ground.name, ground.rows, ground.disagreement, ground.gain)
    return Whole(*about, gates, shown, passed, failed, float(np.mean(doubted)))


def batches(random: np.random.Generator) -> list[Batch]:
    """Simulate thirty new answers of each kind, and ask the two checks of them, at the level they have in the gate."""
    found, limits = [], GateLimits()
    for labels in (28, 3):
        for kind in BATCHES:
            for drawn in (True, False):
                refused = 0
                for _ in range(BATCHES_EACH):
                    answers = batch_of(kind, labels, random, drawn=drawn)
                    doubts = [doubt_contradictions(answers, limits), doubt_plausibility(answers, limits)]
                    checks = settle_doubts(doubts, limits.worse_alpha / 4)  # as strict as among eight
                    refused += any(check.outcome == "fail" for check in checks)
                found.append(Batch(kind, labels, drawn, refused / BATCHES_EACH))
    return found


def broken(power: list[Power], whole: list[Whole]) -> list[str]:
    """Return the promises that are broken beyond chance."""
    faults = []
    for one in power:
        limits = TESTS[one.test]
        at_limit = one.gain == (0.0 if limits.test == "superiority" else -limits.margin)
        if at_limit and one.passed > limits.alpha:
            faults.append(f"{one.test}: {one.passed:.3%} pass at {one.gain:+.1%}, {one.rows} rows")
        wanted = limits.test == "superiority" and one.rows == 1000 and one.gain == 0.02 and one.disagreement <= 0.06
        if wanted and one.passed < 0.8:
            faults.append(f"{one.test}: only {one.passed:.1%} of gains of two points are found")
    for gate in whole:
        if gate.gain == 0 and _above(gate.doubted, gate.gates, GateLimits().worse_alpha):
            faults.append(f"the whole gate doubts {gate.doubted:.1%} of equal candidates ({gate.kind})")
        at_margin = gate.gain == -GateLimits().margin and gate.kind != "folds that see no harm"
        if at_margin and _above(gate.passed, gate.gates, GateLimits().alpha):
            faults.append(f"the whole gate passes {gate.passed:.1%} at the margin ({gate.kind})")
    return faults


def _above(share: float, n: int, limit: float) -> bool:
    """Tell whether a share is above its limit by more than chance explains, in one of a thousand tries."""
    return bool(binomtest(round(share * n), n, limit, alternative="greater").pvalue < 0.001)


def panels(power: list[Power], whole: list[Whole]) -> list[Panel]:
    """Return the curves: a panel for each test and share of disagreements, and one of the whole gate."""
    found = []
    for test in TESTS:
        for share in DISAGREEMENTS:
            chosen = [one for one in power if one.test == test and one.disagreement == share]
            curves = [
                Curve(f"{rows:,} rows", [(one.gain, one.passed) for one in chosen if one.rows == rows])
                for rows in SIZES
            ]
            found.append(Panel(f"{test}: {share:.0%} differ", curves))
    curves = [
        Curve(
            f"{share:.0%} differ",
            [(one.gain, one.passed) for one in whole if one.kind == "gold alone" and one.disagreement == share],
        )
        for share in GATE_DISAGREEMENTS
    ]
    return [*found, Panel("whole gate, 1,000 rows: passed", curves)]


def show(power: list[Power], whole: list[Whole], answers: list[Batch]) -> None:
    """Print the most telling part of what was found."""
    table = Table("test", "rows", "differ", *(f"{gain:+.0%}" for gain in (-0.02, -0.01, 0.0, 0.01, 0.02)))
    for test in TESTS:
        for rows in (500, 1000):
            for share in (0.02, 0.06):
                mine = {
                    one.gain: one.passed
                    for one in power
                    if (one.test, one.rows, one.disagreement) == (test, rows, share)
                }
                shown = (f"{mine[gain]:.1%}" if gain in mine else "" for gain in (-0.02, -0.01, 0.0, 0.01, 0.02))
                table.add_row(test, f"{rows:,}", f"{share:.0%}", *shown)
    Console().print(table)
    gates = Table("whole gate", "rows", "differ", "true gain", "shown", "passed", "failed", "doubted")
    for gate in whole:
        shares = (f"{share:.1%}" for share in (gate.shown, gate.passed, gate.failed, gate.doubted))
        gates.add_row(gate.kind, f"{gate.rows:,}", f"{gate.disagreement:.0%}", f"{gate.gain:+.0%}", *shares)
    Console().print(gates)
    thirty = Table("thirty new answers", "labels", "chosen by", "refused")
    for batch in answers:
        thirty.add_row(batch.kind, str(batch.labels), "triage" if batch.drawn else "people", f"{batch.refused:.1%}")
    Console().print(thirty)


def main() -> None:
    """Measure, print, draw, keep the result; exit with 1 if a promise is broken."""
    about, random = machine(), np.random.default_rng(1)
    power, whole, answers = primary_power(), whole_power(random), batches(random)
    show(power, whole, answers)
    draw_panels(RESULTS / "gate.svg", panels(power, whole), "Share that passes, by true gain in accuracy")
    faults = broken(power, whole)
    kept = {"limits": GateLimits().model_dump(), "primary": [asdict(one) for one in power]}
    keep_result("gate", {**kept, "whole": whole, "batches": answers, "broken": faults}, about)
    print("\n".join(faults) if faults else "every promise is kept")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
