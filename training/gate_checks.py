"""The gate's checks, each a question with an outcome, figures and a sentence.

Two kinds. *Tests* must show something: the primary one, and that against the best ancestor. *Doubts* look for something
worse, and speak only if it is significantly so: as they are many, their p-values are corrected together (Holm 1979), so
that all of them refuse an equal candidate no more often than the limits say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.stats import norm  # type: ignore[import-untyped]

from tasks.declaration import GateLimits
from training.paired import OUTSIDE, Pair, count
from training.paired_scores import (
    Difference,
    Floats,
    compare_auroc,
    compare_calibration,
)
from training.paired_tests import above_share, better, holm
from training.plausible import NewAnswers, contradicted, corrected

Outcome = Literal["pass", "fail", "inconclusive", "skipped"]

LEAST_CALIBRATED = 50
"""Gold rows of the task's labels below which an expected calibration error says nothing."""

_FEWEST_OUTSIDE = 5


@dataclass(frozen=True)
class Check:
    """One question of the gate: its `name`, `outcome`, what was found in a sentence, and the figures behind it."""

    name: str
    outcome: Outcome
    message: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the check, ready for JSON."""
        return {"name": self.name, "outcome": self.outcome, "message": self.message, "figures": dict(self.figures)}


@dataclass(frozen=True)
class Doubt:
    """Something that may be worse: the p-value of its being so, None where there is nothing to look at."""

    name: str
    p_value: float | None
    message: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def settle_doubts(doubts: Sequence[Doubt], alpha: float) -> list[Check]:
    """Turn doubts into checks: at most a share `alpha` of equal candidates fails any of them."""
    raised = [doubt for doubt in doubts if doubt.p_value is not None]
    levels = dict(zip((doubt.name for doubt in raised), holm([doubt.p_value or 0.0 for doubt in raised]), strict=True))
    return [_settled(doubt, levels.get(doubt.name), alpha) for doubt in doubts]


def _settled(doubt: Doubt, p_value: float | None, alpha: float) -> Check:
    if p_value is None:
        return Check(doubt.name, "skipped", doubt.message, doubt.figures)
    figures = {**doubt.figures, "p_value": doubt.p_value, "p_corrected": p_value}
    return Check(doubt.name, "fail" if p_value <= alpha else "pass", doubt.message, figures)


def doubt_labels(pairs: Sequence[tuple[Pair, float]], labels: Sequence[str]) -> Doubt:
    """Ask whether any label is worse; each pair's rows tell `float` times less each. Labels are corrected for."""
    found = []
    for number in range(len(labels)):
        counts = [count(pair, pair.targets == number).divided(by) for pair, by in pairs]
        gains, losses = sum(one.gains for one in counts), sum(one.losses for one in counts)
        found.append((float(better(losses, gains)), gains, losses))
    p_values = holm([p_value for p_value, _, _ in found])
    if not found:
        return Doubt("labels", None, "no labels to look at")
    worst = min(range(len(found)), key=lambda at: found[at])
    _, gains, losses = found[worst]
    message = f"of all labels {labels[worst]!r} did worst: {gains:.3g} rows gained, {losses:.3g} lost"
    by_label = {
        name: {"gains": round(won, 2), "losses": round(lost, 2), "p_corrected": p_value}
        for name, (_, won, lost), p_value in zip(labels, found, p_values, strict=True)
        if won or lost
    }
    return Doubt("labels", p_values[worst], message, {"worst": labels[worst], "labels": by_label})


def doubt_flips(gold: Pair, limits: GateLimits) -> Doubt:
    """Ask whether more answers turn from right to wrong than the limit."""
    counts = count(gold)
    if not counts.rows:
        return Doubt("negative_flips", None, "no gold rows to look at")
    share, lost = counts.losses / counts.rows, int(gold.lost.sum())
    message = (
        f"{lost} of {int(gold.own.sum())} gold rows ({share:.1%}) were right and are wrong now; "
        f"the limit is {limits.negative_flips:.1%}"
    )
    p_value = above_share(counts.losses, counts.rows, limits.negative_flips)
    return Doubt("negative_flips", p_value, message, {"share": share, "rows": lost, "limit": limits.negative_flips})


def doubt_calibration(gold: Pair, samples: Floats, limits: GateLimits) -> Doubt:
    """Ask whether confidences are further from the truth; `samples` are those of `resample` on the rows of labels."""
    own = gold.own
    if own.sum() < LEAST_CALIBRATED:
        return Doubt("calibration", None, f"fewer than {LEAST_CALIBRATED} gold rows say nothing of calibration")
    said = tuple(
        type(one)(one.chosen[own], one.confidence[own], one.out_of_scope[own])
        for one in (gold.champion, gold.candidate)
    )
    found = compare_calibration((said[0], said[1]), gold.targets[own], samples)
    message = (
        f"expected calibration error {found.candidate:.3f}, the champion's {found.champion:.3f}; "
        f"a rise of {limits.calibration:.3f} is accepted"
    )
    return _score_doubt("calibration", found, found.difference - limits.calibration, message, limits.calibration)


def doubt_scope(gold: Pair, limits: GateLimits) -> Doubt:
    """Ask whether the out-of-scope score tells foreign texts worse."""
    outside = gold.targets == OUTSIDE
    if outside.sum() < _FEWEST_OUTSIDE or (~outside).sum() < _FEWEST_OUTSIDE:
        return Doubt("out_of_scope", None, f"fewer than {_FEWEST_OUTSIDE} out-of-scope rows in the gold set")
    found = compare_auroc(gold.champion.out_of_scope, gold.candidate.out_of_scope, outside)
    message = (
        f"AUROC of the out-of-scope score {found.candidate:.3f}, the champion's {found.champion:.3f}; "
        f"a fall of {limits.out_of_scope:.3f} is accepted"
    )
    return _score_doubt("out_of_scope", found, -found.difference - limits.out_of_scope, message, limits.out_of_scope)


def _score_doubt(name: str, found: Difference, excess: float, message: str, limit: float) -> Doubt:
    """Make a doubt of how far a difference goes beyond its limit, by the normal distribution."""
    p_value = float(norm.sf(excess / found.error)) if found.error > 0 else float(excess <= 0)
    figures = {"champion": found.champion, "candidate": found.candidate, "error": found.error, "limit": limit}
    return Doubt(name, p_value, message, figures)


def doubt_worse(name: str, what: str, pair: Pair | None) -> Doubt:
    """Ask whether the candidate is worse on other rows than gold, which are `what`."""
    if pair is None or not pair.own.any():
        return Doubt(name, None, f"there are no {what} yet")
    counts, own = count(pair), pair.own
    won, lost = int(pair.gained.sum()), int(pair.lost.sum())
    figures = {"rows": int(own.sum()), "gained": won, "lost": lost, "gain": counts.gain}
    message = f"of {int(own.sum())} {what} the candidate has {won} right that the champion had wrong, and lost {lost}"
    if pair.weights is not None:
        message += f"; weighted as drawn, a gain of {counts.gain:+.1%}"
    return Doubt(name, float(better(counts.losses, counts.gains)), message, figures)


def doubt_contradictions(answers: NewAnswers | None, limits: GateLimits) -> Doubt:
    """Ask whether people contradict the champion more than its confidence foretells."""
    found = contradicted(answers, limits.contradictions) if answers is not None else None
    if found is None:
        return Doubt("contradictions", None, "no new answers to texts that triage chose")
    message = (
        f"people contradict the champion in {found.found} of {found.n} new answers to texts that triage chose, where "
        f"its confidence foretells {found.expected:.0f}: if too many, either the answers are wrong or the traffic has "
        "changed"
    )
    figures = {"rows": found.n, "found": found.found, "expected": found.expected, "odds": limits.contradictions}
    return Doubt("contradictions", found.p_value, message, figures)


def doubt_plausibility(answers: NewAnswers | None, limits: GateLimits) -> Doubt:
    """Ask whether people correct the champion to labels that it thinks less of than of those that gold corrects to."""
    found = corrected(answers, limits.plausibility) if answers is not None else None
    if found is None:
        return Doubt("plausibility", None, "no new corrections, or too few mistakes on gold to hold them against")
    message = (
        f"with a chance of {found.chance:.0%} what gold corrects the champion to is likelier to it than what people "
        f"correct it to, in {found.n} new corrections; 50 % is alike, {limits.plausibility:.0%} accepted: if more, ask "
        "a reviewer to look at these answers"
    )
    return Doubt("plausibility", found.p_value, message, {"rows": found.n, "chance": found.chance})


def doubt_parity(share: float, rows: int, limits: GateLimits) -> Doubt:
    """Ask whether the candidate's int8 and fp32 graphs agree on a smaller `share` than the limit, found on `rows`."""
    if not rows:
        return Doubt("parity", None, "no gold texts to try int8 and fp32 on")
    message = f"int8 and fp32 agree on {share:.1%} of {rows} gold texts; {limits.parity:.1%} is wanted"
    p_value = above_share((1 - share) * rows, rows, 1 - limits.parity)
    return Doubt("parity", p_value, message, {"share": share, "rows": rows, "limit": limits.parity})


def check_limit(name: str, found: float, limit: float, message: str) -> Check:
    """Hold a figure that is no sample against the most that is accepted."""
    finite = bool(np.isfinite(found))
    figures = {"found": found if finite else None, "limit": limit}
    return Check(name, "pass" if finite and found <= limit else "fail", message, figures)
