"""The gate: whether a candidate may take the champion's place, from what both say of the same rows.

One primary test asks for what the task's `[gate]` wants shown, of accuracy on gold. Where the gold set is small and the
candidate came with cross-validated answers on base data, those join it by a rule that does not look at the answers: all
of them, `OVERLAP` of them worth one gold row. The same test against the best pinned version keeps many small losses
from adding up. All else only looks for something that has become worse. Nothing shown either way is `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.declaration import GateLimits
from training import gate_checks as checks
from training.gate_checks import Check
from training.gate_primary import OVERLAP, Primary, check_ancestor
from training.paired import Pair
from training.plausible import NewAnswers

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Evidence:
    """All that the gate judges by; a part that is None was not to be had, and is not asked about.

    Attributes:
        gold: the gold set; rows without a label test the out-of-scope score.
        folds: cross-validated answers of both recipes to base rows.
        audit: resolved audits, which never train, weighted by how rarely they were drawn.
        corrections: texts on which people corrected a model, and which the champion has learnt from.
        ancestor: the gold set, the best pinned version standing for the champion.
        parity: share of gold texts to which the candidate's int8 and fp32 graphs give one label.
        champion_ms: milliseconds that the champion takes for a text.
        candidate_ms: the same of the candidate.
        champion_bytes: size of the champion's served graph.
        candidate_bytes: the same of the candidate.
        gold_uses: verdicts that this very gold set has given before.
        labels: names of the labels, in the order of their numbers.
        parity_rows: how many gold texts `parity` was measured on.
        answers: what people said that the champion has not learnt from.
        gold_sha256: hash of the gold set, by which its uses are counted.
        ancestor_version: the version that `ancestor` compares with.
    """

    gold: Pair
    folds: Pair | None
    audit: Pair | None
    corrections: Pair | None
    ancestor: Pair | None
    parity: float
    champion_ms: float
    candidate_ms: float
    champion_bytes: int
    candidate_bytes: int
    gold_uses: int
    labels: Sequence[str]
    parity_rows: int = 0
    answers: NewAnswers | None = None
    gold_sha256: str = ""
    ancestor_version: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate says: its `decision`, check by check, why, and what to know besides.

    `more_gold` is about how many more gold rows would settle an inconclusive primary test at the disagreement seen;
    None where it is settled, or no number would do. `gold` tells which gold set it was, and how worn.
    """

    decision: Decision
    checks: list[Check]
    reasons: list[str]
    warnings: list[str]
    more_gold: int | None
    gold: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict, ready for JSON; it holds no text."""
        return {
            "decision": self.decision,
            "reasons": self.reasons,
            "warnings": self.warnings,
            "more_gold": self.more_gold,
            "gold": self.gold,
            "checks": [check.as_json() for check in self.checks],
        }


def judge(evidence: Evidence, limits: GateLimits) -> Verdict:
    """Decide: `pass` where both tests are shown and nothing is worse, `fail` where anything fails."""
    primary = Primary(evidence.gold, evidence.folds, limits)
    found = [
        primary.check(),
        *checks.settle_doubts(_doubts(evidence, limits, primary), limits.worse_alpha),
        check_ancestor(evidence.ancestor, evidence.ancestor_version, limits),
        *_measures(evidence, limits),
    ]
    decision = _decide(found)
    own = int(evidence.gold.own.sum())
    return Verdict(
        decision=decision,
        checks=found,
        reasons=[f"{one.name}: {one.message}" for one in found if one.outcome == decision and decision != "pass"],
        warnings=_warnings(evidence, limits, found[0]),
        more_gold=primary.more_gold() if found[0].outcome == "inconclusive" else None,
        gold={"sha256": evidence.gold_sha256, "rows": len(evidence.gold), "of_labels": own, "uses": evidence.gold_uses},
    )


def _decide(found: Sequence[Check]) -> Decision:
    outcomes = {check.outcome for check in found}
    return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


def _doubts(evidence: Evidence, limits: GateLimits, primary: Primary) -> list[checks.Doubt]:
    pairs = [(evidence.gold, 1.0), *([(primary.folds, OVERLAP)] if primary.folds is not None else [])]
    return [
        checks.doubt_labels(pairs, evidence.labels),
        checks.doubt_flips(evidence.gold, limits),
        checks.doubt_calibration(evidence.gold, primary.samples, limits),
        checks.doubt_scope(evidence.gold, limits),
        checks.doubt_worse("audit", "audited predictions", evidence.audit),
        checks.doubt_worse("corrections", "past corrections", evidence.corrections),
        checks.doubt_contradictions(evidence.answers, limits),
        checks.doubt_plausibility(evidence.answers, limits),
        checks.doubt_parity(evidence.parity, evidence.parity_rows, limits),
    ]


def _measures(evidence: Evidence, limits: GateLimits) -> list[Check]:
    """Hold what is no sample of texts against its limits."""
    time = evidence.candidate_ms / evidence.champion_ms if evidence.champion_ms else float("inf")
    size = evidence.candidate_bytes / evidence.champion_bytes if evidence.champion_bytes else float("inf")
    took = f"{evidence.candidate_ms:.2f} ms a text, the champion {evidence.champion_ms:.2f}: {time:.2f} times as long"
    holds = f"{evidence.candidate_bytes / 1e6:.1f} MB, the champion {evidence.champion_bytes / 1e6:.1f}"
    return [
        checks.check_limit("latency", time, limits.latency, f"{took}; {limits.latency:g} is accepted"),
        checks.check_limit(
            "size", size, limits.size, f"{holds}: {size:.2f} times as large; {limits.size:g} is accepted"
        ),
    ]


def _warnings(evidence: Evidence, limits: GateLimits, primary: Check) -> list[str]:
    """Say what weakens the verdict without changing it.

    Each use of a gold set lets the choice of models lean on its chance (Dwork et al. 2015, "The reusable holdout:
    preserving validity in adaptive data analysis"). By the union bound a false pass is to be expected after
    `1 / alpha` candidates at the margin, which is what the limit of uses is by default.
    """
    said = []
    if evidence.gold_uses >= limits.gold_uses:
        chance = min(1.0, limits.alpha * (evidence.gold_uses + 1))
        said.append(
            f"this gold set has given {evidence.gold_uses} verdicts before: the chance that some candidate at the "
            f"margin has passed is up to {chance:.0%}. Bring new gold rows; about as many as there are would start anew"
        )
    shown = primary.figures
    comparable = shown and shown["folds"] is None and limits.test == "non_inferiority"
    if comparable and (shown["bootstrap"][0] > -limits.margin) != (primary.outcome == "pass"):
        said.append("the paired bootstrap would have decided the primary test otherwise: it is a close call")
    return said
