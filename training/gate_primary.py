"""The gate's tests of accuracy: what they count, and what they show."""

from __future__ import annotations

from math import ceil
from typing import Any

from tasks.declaration import GateLimits
from training.gate_checks import Check, Outcome
from training.paired import Counts, Flags, Pair, count
from training.paired_scores import Floats, compare_accuracy, resample
from training.paired_tests import (
    better,
    fails,
    gain_interval,
    passes,
    rows_to_settle,
    within_margin,
)

OVERLAP = 2.25
"""How many cross-validated rows tell as much as one gold row. Models of different folds share most of their training
rows, and err together: for five folds the variance is (1/5 + 1/4) / (1/5) times that of independent rows (Nadeau and
Bengio 2003, "Inference for the generalization error"); for more folds it is less."""


class Primary:
    """The primary test of a candidate: on gold, and on cross-validated base rows where they join."""

    def __init__(self, gold: Pair, folds: Pair | None, limits: GateLimits) -> None:
        """Count; `folds` join where there are gold rows of the task's labels, but fewer than `small_gold`."""
        self._pair, self._limits = gold, limits
        self._gold = count(gold)
        self.folds = folds if folds is not None and 0 < self._gold.rows < limits.small_gold else None
        self._others = count(self.folds).divided(OVERLAP) if self.folds else Counts(0.0, 0.0, 0.0)
        self._all = self._gold + self._others
        self.samples: Floats = resample(gold.groups[gold.own])
        """Bootstrap samples of the gold rows of the task's labels, `(draws, n)`."""

    def check(self) -> Check:
        """Return the outcome: shown, shown otherwise, or neither."""
        if not self._gold.rows:
            message = "there is no gold set, so that nothing can be shown: lay rows aside that never train"
            return Check("accuracy", "inconclusive", message)
        return Check("accuracy", self._outcome(), self._message(), self._figures())

    def more_gold(self) -> int | None:
        """Return about how many more gold rows would settle it at the disagreement seen; None if no number would."""
        enough = rows_to_settle(self._gold, self._others, self._limits)
        if enough is None:
            return None
        each = int(self._pair.own.sum()) / self._gold.rows if self._gold.rows else 1.0
        return max(1, ceil((enough - self._gold.rows) * each))

    def _outcome(self) -> Outcome:
        """Gold by itself may not show a loss beyond what may be, whatever the cross-validated rows say."""
        alone = settle(self._gold, self._limits, self._limits.margin)
        joined = self.folds is not None
        return "fail" if joined and alone == "fail" else settle(self._all, self._limits, self._limits.margin)

    def _message(self) -> str:
        found = f"on {int(self._pair.own.sum()):,} gold rows {_flips(self._pair)}"
        if self.folds is not None:
            found += f", and on {int(self.folds.own.sum()):,} cross-validated base rows {_flips(self.folds)}"
        if self._limits.test == "superiority":
            chance = float(better(self._all.gains, self._all.losses))
            return (
                f"{found}; equal models would look so good with p = {chance:.3f}, and {self._limits.alpha:g} is wanted"
            )
        return f"{found}: {describe_gain(self._all, self._limits, self._limits.margin)}"

    def _figures(self) -> dict[str, Any]:
        champion, candidate = self._right()
        everything, alpha = self._all, self._limits.alpha
        low, high = gain_interval(everything, alpha)
        folds = None if self.folds is None else {**_numbers(self.folds), "worth": self._others.rows}
        return {
            "test": self._limits.test,
            "margin": self._limits.margin,
            "alpha": alpha,
            "champion": float(champion.mean()),
            "candidate": float(candidate.mean()),
            **_numbers(self._pair),
            "folds": folds,
            "gain": everything.gain,
            "low": low,
            "high": high,
            "bootstrap": list(compare_accuracy((champion, candidate), self.samples, alpha)),
            "p_better": float(better(everything.gains, everything.losses)),
            "p_worse": float(better(everything.losses, everything.gains)),
            "p_margin": float(within_margin(everything.gains, everything.losses, everything.rows, self._limits.margin)),
        }

    def _right(self) -> tuple[Flags, Flags]:
        """Return which gold rows of labels the champion and the candidate have right."""
        own, targets = self._pair.own, self._pair.targets
        champion, candidate = (said.chosen[own] == targets[own] for said in (self._pair.champion, self._pair.candidate))
        return champion, candidate


def check_ancestor(pair: Pair | None, version: str | None, limits: GateLimits) -> Check:
    """Ask for being worse than the best pinned version by less than `ancestor_margin`, whatever the primary test is."""
    if pair is None or not pair.own.any():
        return Check("ancestor", "skipped", "no other version is pinned")
    wanted = limits.model_copy(update={"test": "non_inferiority"})
    counts = count(pair)
    low, high = gain_interval(counts, limits.alpha)
    message = f"against the pinned version {version} {describe_gain(counts, wanted, limits.ancestor_margin)}"
    figures = {"version": version, "margin": limits.ancestor_margin, "gain": counts.gain, "low": low, "high": high}
    return Check("ancestor", settle(counts, wanted, limits.ancestor_margin), message, {**_numbers(pair), **figures})


def settle(counts: Counts, limits: GateLimits, margin: float) -> Outcome:
    """Return what `counts` show: what is asked for, the opposite, or neither."""
    asked = (counts.gains, counts.losses, counts.rows, limits, margin)
    return "pass" if passes(*asked) else "fail" if fails(*asked) else "inconclusive"


def describe_gain(counts: Counts, limits: GateLimits, margin: float) -> str:
    """Say how large the gain is, between which bounds, and what is asked for."""
    low, high = gain_interval(counts, limits.alpha)
    certain = f"{1 - 2 * limits.alpha:.0%}"
    return (
        f"a gain of {counts.gain:+.2%}, with {certain} certainty between {low:+.2%} and {high:+.2%}; "
        f"all of that above {-margin:.1%} is wanted"
    )


def _flips(pair: Pair) -> str:
    return f"{int(pair.gained.sum()):,} answers became right and {int(pair.lost.sum()):,} wrong"


def _numbers(pair: Pair) -> dict[str, int]:
    return {"rows": int(pair.own.sum()), "gained": int(pair.gained.sum()), "lost": int(pair.lost.sum())}
