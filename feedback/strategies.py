"""What becomes of an item after each answer: it is resolved, more people are asked, or an expert decides.

Pure: votes and what is known of those who gave them go in, a `Decision` comes out. Answers of people who are not
trusted are left out everywhere. `docs/ml-engineers.md` tells when to choose which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from feedback.facts import Decision, Quality, Value, Vote
from feedback.posterior import Belief, believe
from tasks.declaration import Review

_FEW_TRUSTED = 2
"""A crowd is given up, and an expert asked, once this many times the most answers were asked for in vain."""


def decide(
    review: Review,
    options: Sequence[Value],
    votes: Sequence[Vote],
    quality: Mapping[str, Quality],
    *,
    pending: int,
    asked: int,
) -> Decision:
    """Say what becomes of an item.

    Args:
        review: the task's strategy.
        options: what an answer may be: the ids of the labels, `OUTSIDE` where it is allowed. Where an answer is a set
            of labels, the ids that may be in it.
        votes: the answers of this round, oldest first, one a person.
        quality: what is known of the annotators; those who are missing are new.
        pending: answers asked for and not given yet.
        asked: answers asked for in this round so far, the given ones included.

    Returns:
        the next step. For sets of labels the posterior holds `((label,), probability that it belongs to the set)`.
    """
    counted = [vote for vote in votes if vote.annotator not in quality or quality[vote.annotator].trusted]
    if review.strategy == "expert":
        return _by_expert(review, counted, pending)
    belief = believe(review.aggregation, options, counted, quality)
    given_up = asked >= _FEW_TRUSTED * review.most_answers
    if review.strategy == "combined":
        return _combined(review, counted, belief, pending, given_up=given_up)
    return _by_crowd(review, counted, belief, pending, given_up=given_up)


def _by_expert(review: Review, votes: Sequence[Vote], pending: int) -> Decision:
    """Let one qualified answer settle it; where no experts are named, everybody is one."""
    qualified = [vote for vote in votes if not review.experts or _is_expert(review, vote)]
    if qualified:
        return _settled(qualified[-1])
    return Decision("wait", (), "expert") if pending else Decision("ask", (), "expert", more=1)


def _by_crowd(review: Review, votes: Sequence[Vote], belief: Belief, pending: int, *, given_up: bool) -> Decision:
    """Ask on while unsure; at the limit the leader wins, and a tie is an expert's to break."""
    called = [vote for vote in votes if vote.expert]
    if called:
        return _settled(called[-1])
    if len(votes) >= review.answers and belief.certainty >= review.certainty and not belief.tied:
        return _resolved(belief)
    if pending:
        return _unsettled("wait", belief)
    if len(votes) < review.most_answers:
        more = max(1, review.answers - len(votes))
        return _unsettled("expert", belief) if given_up else _unsettled("ask", belief, more)
    return _unsettled("expert", belief) if belief.tied else _resolved(belief)


def _combined(review: Review, votes: Sequence[Vote], belief: Belief, pending: int, *, given_up: bool) -> Decision:
    """Let a crowd that is sure and of one mind settle it, and an expert everything else."""
    called = [vote for vote in votes if _is_expert(review, vote)]
    if called:
        return _settled(called[-1])
    missing, agreed = review.answers - len(votes), len({vote.value for vote in votes}) <= 1
    if missing <= 0 and agreed and belief.certainty >= review.certainty:
        return _resolved(belief)
    if pending:
        return _unsettled("wait", belief)
    if missing > 0 and agreed and not given_up:
        return _unsettled("ask", belief, missing)
    return _unsettled("expert", belief)


def _is_expert(review: Review, vote: Vote) -> bool:
    return vote.expert or vote.annotator in review.experts


def _settled(vote: Vote) -> Decision:
    """Take one qualified person's word for it."""
    parts: tuple[Value, ...] = tuple((label,) for label in vote.value) if isinstance(vote.value, tuple) else ()
    return Decision("resolve", tuple((part, 1.0) for part in parts or (vote.value,)), "expert", value=vote.value)


def _resolved(belief: Belief) -> Decision:
    return Decision("resolve", belief.posterior, belief.method, value=belief.value)


def _unsettled(action: Literal["wait", "ask", "expert"], belief: Belief, more: int = 0) -> Decision:
    return Decision(action, belief.posterior, belief.method, more=more)
