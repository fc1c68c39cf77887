"""Whom to ask about what: the decision, for each prediction, whether a person should look at it.

At most one reason, and always the probability with which the prediction was to be selected, so that the accuracy on all
traffic can be estimated from what people said. The draw is blocked: within one predicted label and reason, predictions
that make up one expected review form a block, and one uniform number a block says which of them it is (stratified
sampling with one unit a stratum; Cochran 1977, "Sampling techniques", 5A.6). Every prediction is selected with exactly
its own probability, rare labels have their share, and traffic that repeats itself meets no fixed step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from random import Random

from feedback.facts import Reason
from service.artifact import Manifest
from tasks.declaration import Triage as Rules

SCOPE_LIMIT = 0.5
"""Out-of-scope score above which no answer goes unreviewed, however much error is accepted."""

DRIFT_FACTOR = 5.0
"""How many times as often as the audit share texts are drawn that are unlike those learnt from."""

_DAY_S = 86_400.0
_LEAST_S = 3_600.0
_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Triaged:
    """What was decided: a `reason` to ask, or None; `inclusion`, the probability of any; `urgency`, 0 to 1.

    `inclusion` is fixed before the draw, never below the task's audit share, and 1 where somebody was to be asked in
    any case. `urgency` orders the queue and means nothing where nobody is asked.
    """

    reason: Reason | None
    inclusion: float
    urgency: float


class Triage:
    """Decides for one task and model version in one process; takes microseconds and does no input or output."""

    def __init__(
        self,
        manifest: Manifest,
        rules: Rules,
        random: Random,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take thresholds from `manifest`, shares and budget from the task's `rules`, and chance from `random`.

        `workers` processes share the traffic, and so the budget. `clock` gives seconds.
        """
        self._rules = rules
        self._random = random
        self._demand = None if rules.budget is None else _Demand(rules.budget / workers, clock)
        self._take(manifest)

    def beside(self, manifest: Manifest) -> Triage:
        """Return the triage of another version of the model, which knows the same traffic and shares the budget."""
        other = copy(self)
        other._take(manifest)  # noqa: SLF001 - it is one of us
        return other

    def _take(self, manifest: Manifest) -> None:
        scope = manifest.scope_threshold
        self._thresholds = manifest.thresholds
        self._scope_threshold = SCOPE_LIMIT if scope is None else scope
        self._drift_from = manifest.drift_from if self._rules.drift else None
        self._blocks: dict[tuple[str, Reason], _Block] = {}

    def decide(self, label: str, confidence: float, out_of_scope: float) -> Triaged:
        """Decide about one answer, by its predicted `label` and its two scores, 0 to 1 each.

        Of several reasons that hold, the first of `out_of_scope`, `low_confidence`, `drift` and `audit` is given.
        """
        reason, wanted = self._wanted(label, confidence, out_of_scope)
        inclusion = self._afforded(wanted)
        selected = inclusion >= 1.0 or self._draw(label, reason, inclusion)
        return Triaged(reason if selected else None, inclusion, urgency(reason, confidence, out_of_scope))

    def _wanted(self, label: str, confidence: float, out_of_scope: float) -> tuple[Reason, float]:
        """Return the first reason that holds, and the probability of selection that it asks for."""
        audit = self._rules.audit
        if out_of_scope > self._scope_threshold:
            return "out_of_scope", 1.0
        if confidence < self._thresholds.get(label, 0.0):
            return "low_confidence", 1.0
        if self._drift_from is not None and out_of_scope > self._drift_from:
            return "drift", min(1.0, DRIFT_FACTOR * audit)
        return "audit", audit

    def _afforded(self, wanted: float) -> float:
        """Return the probability that the budget leaves of `wanted`: never below the audit share."""
        if self._demand is None:
            return wanted
        floor = self._rules.audit
        return floor + self._demand.share_met(floor, wanted) * (wanted - floor)

    def _draw(self, label: str, reason: Reason, inclusion: float) -> bool:
        block = self._blocks.get((label, reason))
        if block is None or block.filled + inclusion > 1.0 + _DUST:
            # Whole predictions only: what is left of a block is given up, so that probabilities stay exact.
            block = self._blocks[label, reason] = _Block(self._random.random())
        before, block.filled = block.filled, block.filled + inclusion
        return before <= block.point < block.filled


@dataclass(slots=True)
class _Block:
    """Predictions in a row whose probabilities sum to at most 1; the one that covers `point` is selected."""

    point: float
    filled: float = 0.0


class _Demand:
    """The reviews wanted here, weighted exponentially over about a day, against what people have time for.

    At the beginning what was seen so far counts as an hour's worth, so that a first burst is already held back.
    """

    def __init__(self, budget: float, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._start = self._last = clock()
        self._floors = 0.0
        self._wanted = 0.0

    def share_met(self, floor: float, wanted: float) -> float:
        """Count a prediction in; return the share, 0 to 1, of the wish above the floor that the budget can meet."""
        now = self._clock()
        fading = math.exp((self._last - now) / _DAY_S)
        self._last = now
        self._floors = self._floors * fading + floor
        self._wanted = self._wanted * fading + wanted
        seen_days = -math.expm1(-max(now - self._start, _LEAST_S) / _DAY_S)
        spare = self._budget * seen_days - self._floors
        above = self._wanted - self._floors
        return 1.0 if above <= 0.0 or spare >= above else max(0.0, spare / above)


def scope_threshold(trust: float) -> float:
    """Return the highest out-of-scope score, 0 to 1, that goes unreviewed where a confidence of `trust` is asked for.

    Thresholds are fitted along this one path of pairs.
    """
    return min(1.0 - trust, SCOPE_LIMIT)


def urgency(reason: Reason, confidence: float, out_of_scope: float) -> float:
    """Return the place in the queue, 0 to 1, among items of the same age: doubtful before unusual before audit.

    Of doubtful ones the less certain comes first, or the further out of scope, whichever says more.
    """
    if reason in {"low_confidence", "out_of_scope"}:
        return 0.5 + 0.5 * max(1.0 - confidence, out_of_scope)
    return 0.25 + 0.25 * (out_of_scope if reason == "drift" else 1.0 - confidence)


def urgency_under(manifest: Manifest, label: str, confidence: float, out_of_scope: float) -> float:
    """Return the place of an item, 0 to 1, if this version of the model had made its prediction: it may be sure."""
    limit = SCOPE_LIMIT if manifest.scope_threshold is None else manifest.scope_threshold
    doubted = out_of_scope > limit or confidence < manifest.thresholds.get(label, 0.0)
    return urgency("low_confidence" if doubted else "audit", confidence, out_of_scope)
