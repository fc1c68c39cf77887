"""Whether a candidate on trial goes on, goes live or stays aside: pure functions over what was counted.

Each limit asks whether the candidate is worse by more than it allows *and* worse beyond chance. Chance is told by a
test that holds however often one looks: the likelihood ratio of a share `p` against `p0`, averaged over a uniform prior
on what is worse (Ville 1939; Robbins 1970, "Statistical methods related to the law of the iterated logarithm"). Where
nothing is worse, it exceeds `1 / alpha` at any moment with a probability of at most `alpha`.

Two rates are compared by the share of their events that fall on the candidate: at equal rates that is its share of the
traffic (the conditional test of Przyborowski and Wilenski 1940).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from scipy.special import betainc, betaln  # type: ignore[import-untyped]

from feedback.runs import RunMode
from feedback.trial_corrections import Corrected
from feedback.trial_figures import BySide, Side, SideFigures, in_all
from feedback.trials import Trial, TrialKind
from tasks.declaration import TrialPlan

_NOTHING = SideFigures()
_UNSAID = Corrected()


@dataclass(frozen=True)
class Part:
    """A part of a trial: its `kind`, and the `share` of traffic with which it begins."""

    kind: TrialKind
    share: float


@dataclass(frozen=True)
class Seen:
    """What is known of a trial at the moment `now`: figures by step and side, and corrections by side.

    `corrections` are None where nobody has looked for them.
    """

    now: datetime
    steps: dict[int, BySide]
    corrections: dict[Side, Corrected] | None = None


@dataclass(frozen=True)
class Move:
    """What is to become of a trial: `wait`, `raise` the share, `pass`, `fail`, or `give_up`; and why, in a sentence."""

    action: Literal["wait", "raise", "pass", "fail", "give_up"]
    message: str
    share: float = 0.0


def first_part(plan: TrialPlan, mode: RunMode) -> Part | None:
    """Return how a trial of a run of `mode` begins; None where its candidate goes live at once."""
    if mode == "fast" and not plan.fast:
        return None
    return Part("shadow", plan.shadow_share) if plan.shadow_share > 0 else part_after("shadow", plan)


def part_after(kind: TrialKind, plan: TrialPlan) -> Part | None:
    """Return what follows a trial that passed; None where that is promotion."""
    return Part("canary", plan.canary_shares[0]) if kind == "shadow" and plan.canary_shares else None


def next_move(trial: Trial, plan: TrialPlan, seen: Seen) -> Move:
    """Return what is to become of `trial`."""
    fault = _fault(trial, plan, seen)
    if fault is not None:
        return Move("fail", fault)
    if trial.kind == "shadow":
        least_s, least_texts = plan.shadow_minutes * 60, plan.shadow_texts
    else:
        least_s, least_texts = plan.canary_minutes * 60, plan.canary_texts
    texts = seen.steps.get(trial.step, {}).get("candidate", _NOTHING).texts
    if (seen.now - trial.since).total_seconds() >= least_s and texts >= least_texts:
        return _onward(trial, plan, seen)
    if seen.now - trial.created_at >= timedelta(hours=plan.most_hours):
        said = f"{texts:,} of at least {least_texts:,} texts in its last step"
        return Move("give_up", f"too little was seen of {trial.version} in {plan.most_hours:g} h: {said}")
    return Move("wait", f"{texts:,} of at least {least_texts:,} texts")


def _onward(trial: Trial, plan: TrialPlan, seen: Seen) -> Move:
    mine, other = in_all(seen.steps, "candidate"), in_all(seen.steps, "champion")
    if trial.kind == "shadow":
        agreed = mine.agreements / mine.texts if mine.texts else 0.0
        return Move("pass", f"both gave the same label to {agreed:.1%} of {mine.texts:,} texts")
    higher = [share for share in plan.canary_shares if share > trial.share]
    said = f"{mine.errors:,} of {mine.requests:,} requests failed, {other.errors:,} of {other.requests:,} before it"
    return Move("raise", said, higher[0]) if higher else Move("pass", said)


def _fault(trial: Trial, plan: TrialPlan, seen: Seen) -> str | None:
    """Say what the candidate fails by, or None."""
    mine, other = in_all(seen.steps, "candidate"), in_all(seen.steps, "champion")
    if mine.broken:
        return f"{trial.version} cannot be loaded by a service; its log says why"
    if _fails_more(trial, plan, seen.steps):
        said = f"{mine.errors:,} of {_tries(trial, mine):,}, {trial.champion} at {other.errors:,}"
        return f"{trial.version} failed at {said} of {_tries(trial, other):,} {_units(trial)}"
    if trial.kind == "shadow":
        return _disagreement(trial, plan, mine)
    return _corrections(trial, plan, seen.corrections) if seen.corrections is not None else None


def _fails_more(trial: Trial, plan: TrialPlan, steps: dict[int, BySide]) -> bool:
    """Tell whether the candidate fails more often; the evidence of the steps is multiplied, as their shares differ."""
    mine, other = in_all(steps, "candidate"), in_all(steps, "champion")
    tries, others = _tries(trial, mine), _tries(trial, other)
    if not tries or mine.errors / tries - (other.errors / others if others else 0.0) <= plan.error_rise:
        return False
    log_evidence = 0.0
    for by_side in steps.values():
        one, two = by_side.get("candidate", _NOTHING), by_side.get("champion", _NOTHING)
        share = share_of(_tries(trial, one), _tries(trial, two))
        log_evidence += evidence(one.errors, one.errors + two.errors, share)
    return log_evidence >= -math.log(plan.alpha)


def _tries(trial: Trial, figures: SideFigures) -> int:
    """Return how often a side was asked: a canary by requests, a shadow by texts, those at which it failed included."""
    return figures.requests if trial.kind == "canary" else figures.texts + figures.errors


def _units(trial: Trial) -> str:
    return "requests" if trial.kind == "canary" else "texts"


def _disagreement(trial: Trial, plan: TrialPlan, mine: SideFigures) -> str | None:
    """Say so where both versions agree on fewer texts than the plan asks for."""
    most, differ = 1 - plan.least_agreement, mine.texts - mine.agreements
    if not mine.texts or differ / mine.texts <= most or evidence(differ, mine.texts, most) < -math.log(plan.alpha):
        return None
    agreed = f"{mine.agreements / mine.texts:.1%} of {mine.texts:,} texts"
    return (
        f"{trial.version} and {trial.champion} gave the same label to {agreed} only; {plan.least_agreement:.1%} asked"
    )


def _corrections(trial: Trial, plan: TrialPlan, corrections: dict[Side, Corrected]) -> str | None:
    """Say so where people correct the candidate more often, of all predictions and of those that they judged.

    Both, since who asks people more often is corrected more often, and who asks only about what is hard is corrected on
    more of it.
    """
    mine, other = corrections.get("candidate", _UNSAID), corrections.get("champion", _UNSAID)
    if not (mine.predictions and mine.judged and other.predictions and other.judged):
        return None
    rise = mine.corrected / mine.predictions - other.corrected / other.predictions
    if rise <= plan.correction_rise or mine.corrected / mine.judged <= other.corrected / other.judged:
        return None
    share = share_of(mine.predictions, other.predictions)
    if evidence(mine.corrected, mine.corrected + other.corrected, share) < -math.log(plan.alpha):
        return None
    said = f"{mine.corrected / mine.predictions:.2%} of {mine.predictions:,} predictions of {trial.version}"
    return f"people corrected {said}, and {other.corrected / other.predictions:.2%} of those of {trial.champion}"


def share_of(mine: int, other: int) -> float:
    """Return the share of the first of two counts in both, 0 to 1; a half where there is nothing."""
    return mine / (mine + other) if mine + other else 0.5


def evidence(events: int, of: int, p0: float) -> float:
    """Return the logarithm of the evidence that an event is likelier than `p0`, 0 to 1, where `events` of `of` were.

    It is the likelihood ratio of `p` to `p0`, averaged over `p` uniform above `p0`; 0 says nothing either way.
    """
    if not of or p0 >= 1.0:
        return 0.0
    if p0 <= 0.0:
        return math.inf if events else 0.0
    a, b = events + 1.0, of - events + 1.0
    above = float(betainc(b, a, 1.0 - p0))  # the mass of Beta(a, b) above p0
    if above <= 0.0:
        return -math.inf
    ratio = float(betaln(a, b)) + math.log(above) - math.log1p(-p0)
    return ratio - events * math.log(p0) - (of - events) * math.log1p(-p0)
