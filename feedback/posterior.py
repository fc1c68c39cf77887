"""What a crowd's few answers to one item say: a posterior over labels, or for sets of labels, one for each label.

Plain Python: for a handful of votes it is several times faster than arrays, and it runs inside the transaction of every
answer. `feedback/aggregation.py` is for whole tables of votes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Literal

from feedback.facts import OUTSIDE, Quality, Value, Vote

Method = Literal["majority", "dawid_skene", "weighted"]

ROW_STRENGTH = 5.0
"""How many answers a person's overall accuracy counts for, beside those that show what they mix up."""

_NEWCOMER = Quality()
_REST: tuple[int, ...] = (-1,)
"""Stands for all labels that nobody chose."""
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Belief:
    """What the votes make of an item.

    `value` leads (None without votes) with the probability `certainty`, 0 to 1; for sets, that is the probability of
    its least certain label. `tied` where another is as probable. `posterior` is most probable first; for sets it holds
    `((label,), probability that it belongs)`, and the empty set where nobody named a label.
    """

    value: Value | None
    certainty: float
    tied: bool
    posterior: tuple[tuple[Value, float], ...]
    method: Method


def believe(method: Method, options: Sequence[Value], votes: Sequence[Vote], quality: Mapping[str, Quality]) -> Belief:
    """Aggregate `votes` (those of trusted people, one each) over `options`, the ids of the labels.

    `majority` takes the shares of the votes. The others weigh each vote by its giver's estimated accuracy (`weighted`,
    the log-odds rule of Nitzan and Paroush 1982), or by what the giver is known to mix up as well (`dawid_skene`,
    after Dawid and Skene 1979), all labels being equally likely beforehand. People's errors gather on labels that look
    alike, so that those nobody chose count as one: the certainty of a vote does not grow with the number of labels.
    """
    if not votes:
        return Belief(None, 0.0, False, (), method)
    known = [quality.get(vote.annotator, _NEWCOMER) for vote in votes]
    values = [vote.value for vote in votes]
    if any(isinstance(value, tuple) for value in values):
        return _of_sets(method, values, known)
    posterior = _shares(method, values, known, has_rest=len(options) > len(set(values)))
    ranked = sorted(posterior.items(), key=lambda pair: -pair[1])
    tied = len(ranked) > 1 and ranked[0][1] - ranked[1][1] < _TIE
    shown = tuple(pair for pair in ranked if pair[0] != _REST)
    return Belief(shown[0][0], shown[0][1], tied, shown, method)


def _of_sets(method: Method, values: Sequence[Value], known: Sequence[Quality]) -> Belief:
    """Ask of each label by itself whether it belongs: a vote with two values, so that only overall accuracy counts."""
    plain = [Quality(one.weight) for one in known]
    named = [_parts(value) for value in values]
    chances = {
        part: _shares(method, [int(part in parts) for parts in named], plain, has_rest=True).get(1, 0.0)
        for part in sorted({part for parts in named for part in parts}, key=str)
    }
    unnamed = 1.0 - _shares(method, [0] * len(named), plain, has_rest=True)[0]
    return _set_belief(method, chances, unnamed)


def _parts(value: Value) -> tuple[Value, ...]:
    return tuple((label,) for label in value) if isinstance(value, tuple) else (value,)


def _set_belief(method: Method, chances: Mapping[Value, float], unnamed: float) -> Belief:
    """Take the labels that more likely belong than not; `OUTSIDE` goes with no label, and wins if it is the likeliest.

    `unnamed` is the probability, 0 to 1, that a label nobody named belongs all the same.
    """
    ranked = tuple(sorted(chances.items(), key=lambda pair: -pair[1])) or (((), 1.0 - unnamed),)
    chosen = [part for part, chance in ranked if chance >= 0.5]
    value: Value = tuple(sorted(label for part in chosen if isinstance(part, tuple) for label in part))
    clash = OUTSIDE in chosen and value != ()
    if OUTSIDE in chosen and chosen[0] == OUTSIDE:
        value = OUTSIDE
    certainty = min([1.0 - unnamed, *(max(chance, 1.0 - chance) for _, chance in ranked)])
    tied = clash or any(abs(chance - 0.5) < _TIE for _, chance in ranked)
    return Belief(value, certainty, tied, ranked, method)


def _shares(method: Method, values: Sequence[Value], known: Sequence[Quality], *, has_rest: bool) -> dict[Value, float]:
    """Return the probability of each value that was chosen; `_REST` holds that of all others, if there are any."""
    if method == "majority":
        return {value: values.count(value) / len(values) for value in dict.fromkeys(values)}
    chosen = list(dict.fromkeys(values))
    candidates = [*chosen, _REST] if has_rest else chosen
    if len(candidates) == 1:
        return {candidates[0]: 1.0}
    with_rows = method == "dawid_skene"
    scores = [
        sum(
            log(_chance(true, given, one, len(candidates), with_rows=with_rows))
            for given, one in zip(values, known, strict=True)
        )
        for true in candidates
    ]
    best = max(scores)
    odds = [exp(score - best) for score in scores]
    total = sum(odds)
    return {value: odd / total for value, odd in zip(candidates, odds, strict=True)}


def _chance(true: Value, given: Value, quality: Quality, candidates: int, *, with_rows: bool) -> float:
    """Return the probability that this person says `given` where `true` holds, one of `candidates` values."""
    weight = min(max(quality.weight, 0.5), 0.99)
    expected = weight if true == given else (1.0 - weight) / (candidates - 1)
    row = quality.confusion.get(true) if with_rows else None
    if not row:
        return expected
    return (ROW_STRENGTH * expected + row.get(given, 0)) / (ROW_STRENGTH + sum(row.values()))
