"""Thresholds with a promise: among the answers that no person looks at, at most a stated share is wrong.

Learn-then-test (Angelopoulos, Bates, Candès, Jordan and Lei 2021, "Learn then test: calibrating predictive algorithms
to achieve risk control") by fixed-sequence testing. An answer's trust is the smaller of its calibrated confidence and
one less its out-of-scope score. A path of trusts, strictest first, is declared on other rows; along it, an exact
binomial test on the certification rows asks whether the answers of at least that trust are wrong more often than
accepted, and the first that cannot be ruled out ends it. Since the path is fixed beforehand, no allowance for many
tests is needed: the chance to keep any threshold that breaks the promise is at most one less the stated confidence.

An out-of-scope text that is answered counts as wrong. What is certified is the population that the rows were drawn
from; nothing is said of traffic unlike them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom  # type: ignore[import-untyped]

from service.artifact import Risk
from service.triage import SCOPE_LIMIT, scope_threshold

Reals = NDArray[np.floating]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

_STEP = 0.01
_STARTS = np.arange(3, 8) / 10
_FEWEST = 20
_MOST_ROWS = 1_000_000
FIXED_PATH = np.linspace(0.99, 0.01, 99)
"""Trusts to test where there is nothing to declare better ones from."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Served answers to `n` held-out texts: `confidence` and `out_of_scope` `(n,)`, 0 to 1, and which are `wrong`."""

    confidence: Reals
    out_of_scope: Reals
    wrong: Flags

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.wrong)

    def answered(self, trust: float) -> Flags:
        """Tell which answers no person would look at, `(n,)`, where at least `trust` is asked for; as triage does."""
        return (self.confidence >= trust) & (self.out_of_scope <= scope_threshold(trust))


@dataclass(frozen=True)
class TradeOff:
    """What each trust of a path would do on `rows` held-out rows, `outside` of them out of scope.

    `trust`, strictest first, the rows `answered` without a person, the `errors` among those, and `most_error`, an upper
    bound of their share at the stated confidence for each trust by itself (Clopper and Pearson 1934): `(n_trusts,)`.
    """

    trust: Reals
    answered: Counts
    errors: Counts
    most_error: Reals
    rows: int
    outside: int

    def figures(self) -> dict[str, Any]:
        """Return everything as plain lists and numbers, ready for JSON."""
        arrays = ("trust", "answered", "errors", "most_error")
        return {name: getattr(self, name).tolist() for name in arrays} | {"rows": self.rows, "outside": self.outside}


@dataclass(frozen=True)
class Thresholds:
    """The chosen `trust`, which is the least confidence, what is promised of it, and the trade-off that led there."""

    trust: float
    risk: Risk
    trade_off: TradeOff


def fewest_rows(max_error: float, confidence: float) -> int:
    """Return the least number of answered rows, all of them right, that shows an error of at most `max_error`."""
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - max_error))


def declare_path(others: Answers, n_rows: int, max_error: float, confidence: float) -> Reals:
    """Return the trusts to test, strictest first, from other rows than the `n_rows` that certify.

    They are quantiles of the trusts of `others`, a step of 1 % each, from the start that promises most: beginning with
    the very surest answers, too few to show anything, a single unlucky one would end the test at once. With fewer than
    20 of `others` it is a fixed grid.
    """
    trusts = np.minimum(others.confidence, 1.0 - others.out_of_scope)
    known = others.out_of_scope <= SCOPE_LIMIT
    if known.sum() < _FEWEST:
        return FIXED_PATH
    exact = trusts[known].astype(np.float64)
    starts = np.quantile(exact, 1.0 - _STARTS)
    chances = _chances_to_pass(starts, others, n_rows, max_error, confidence)
    start = _STARTS[np.argmax(chances)]
    shares = np.linspace(start, 1.0, round((1.0 - start) / _STEP) + 1)
    path = np.floor(np.quantile(exact, 1.0 - shares) * 1e6) / 1e6
    return np.unique(np.maximum(path, 1e-6))[::-1]


def _chances_to_pass(trusts: Reals, others: Answers, n_rows: int, max_error: float, confidence: float) -> Reals:
    """Return how likely each of `trusts` is to pass the test on `n_rows` rows, if its error is that on `others`."""
    kept = np.stack([others.answered(float(trust)) for trust in trusts])
    answered = kept.sum(axis=1)
    error = ((kept & others.wrong).sum(axis=1) + 0.5) / (answered + 1.0)
    sizes = np.floor(n_rows * answered / len(others))
    most = binom.ppf(1.0 - confidence, sizes, max_error)
    most -= binom.cdf(most, sizes, max_error) > 1.0 - confidence
    return np.asarray(binom.cdf(most, sizes, error), dtype=np.float64)


def weigh(path: Reals, rows: Answers, outside: int, confidence: float) -> TradeOff:
    """Count on `rows`, of which `outside` are out of scope, what each trust of `path` would do."""
    kept = [rows.answered(float(trust)) for trust in path]
    answered = np.array([int(some.sum()) for some in kept], dtype=np.int64)
    errors = np.array([int(rows.wrong[some].sum()) for some in kept], dtype=np.int64)
    return TradeOff(path, answered, errors, _upper_bounds(errors, answered, confidence), len(rows), outside)


def certify(trade_off: TradeOff, max_error: float, confidence: float) -> int | None:
    """Return the position in the path of the last trust that passes, before the first that fails; None if none does."""
    passed = binom.cdf(trade_off.errors, trade_off.answered, max_error) <= 1.0 - confidence
    passed &= trade_off.answered > 0
    n_passed = len(passed) if passed.all() else int(np.argmin(passed))
    return n_passed - 1 if n_passed else None


def choose_thresholds(path: Reals, rows: Answers, outside: int, max_error: float, confidence: float) -> Thresholds:
    """Return the trust that is certified on `rows`, or, marked so, an estimate of the one that would be.

    `path` must have been declared without `rows`, of which `outside` are out of scope.
    """
    trade_off = weigh(path, rows, outside, confidence)
    found = certify(trade_off, max_error, confidence)
    if found is not None:
        trust = float(path[found])
        more = None
    else:
        trust = estimate_trust(trade_off, max_error, confidence)
        more = rows_needed(trade_off, max_error, confidence)
    kept = rows.answered(trust)
    counts = {"rows": len(rows), "outside": outside, "answered": int(kept.sum()), "errors": int(rows.wrong[kept].sum())}
    asked = {"max_error": max_error, "confidence": confidence, "certified": found is not None, "more_needed": more}
    risk = Risk.model_validate({**asked, **counts, "note": _note(found is not None, more, **counts)})
    return Thresholds(trust, risk, trade_off)


def estimate_trust(trade_off: TradeOff, max_error: float, confidence: float) -> float:
    """Return the lowest trust on the path whose answers were wrong no more often than `max_error`.

    With fewer answered rows than could show anything, or if no trust is good enough, confidence is taken at its word:
    answers that are right with a probability of `1 - max_error` or more.
    """
    enough = trade_off.answered >= fewest_rows(max_error, confidence)
    good = np.flatnonzero(enough & (trade_off.errors <= max_error * trade_off.answered))
    return float(trade_off.trust[good[-1]]) if len(good) else 1.0 - max_error


def rows_needed(trade_off: TradeOff, max_error: float, confidence: float) -> int | None:
    """Return about how many more rows would certify the first trust of the path, at the error seen there.

    None if that error, on enough rows to tell, is not below `max_error`: then the model must be better, not the test
    longer. On fewer rows no error is counted, so that the number is the least.
    """
    answered, fewest = int(trade_off.answered[0]), fewest_rows(max_error, confidence)
    error = trade_off.errors[0] / answered if answered >= fewest else 0.0
    if error >= max_error:
        return None
    sizes = np.unique(np.geomspace(fewest, _MOST_ROWS, 4000).astype(np.int64))
    enough = binom.cdf(np.ceil(error * sizes), sizes, max_error) <= 1.0 - confidence
    if not enough.any():
        return None
    share = answered / trade_off.rows if answered else _STARTS[0]
    return max(1, math.ceil(int(sizes[np.argmax(enough)]) / share) - trade_off.rows)


def _upper_bounds(errors: Counts, answered: Counts, confidence: float) -> Reals:
    """Return one-sided exact upper bounds of `errors / answered`; 1 where nothing was answered right."""
    bounds = np.ones(len(errors))
    some = answered > errors
    bounds[some] = beta.ppf(confidence, errors[some] + 1, answered[some] - errors[some])
    return bounds


def _note(certified: bool, more: int | None, rows: int, outside: int, answered: int, errors: int) -> str:
    scope = f"{outside:,} of them out of scope" if outside else "none of them out of scope, so nothing is said of those"
    assumption = f"it holds for traffic like the {rows:,} held-out rows, {scope}"
    if certified:
        return f"certified: {errors:,} of {answered:,} answered rows were wrong; {assumption}"
    if more is None:
        return "not certified: even the surest answers are wrong too often; the thresholds are estimates"
    return f"not certified: about {more:,} more rows needed; the thresholds are estimates"
