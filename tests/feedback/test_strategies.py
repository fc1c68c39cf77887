"""What becomes of an item after each answer, by strategy and aggregation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.facts import OUTSIDE, Decision, Quality, Value, Vote
from feedback.strategies import decide
from tasks.declaration import Review

LABELS: list[Value] = [*range(1, 11), OUTSIDE]


def crowd(**changed: object) -> Review:
    return Review.model_validate({"strategy": "crowd", **changed})


def votes(*values: Value) -> list[Vote]:
    return [Vote(f"person {number}", value) for number, value in enumerate(values)]


def decided(
    review: Review, said: list[Vote], quality: dict[str, Quality] | None = None, *, pending: int = 0, asked: int = 0
) -> Decision:
    return decide(review, LABELS, said, quality or {}, pending=pending, asked=asked or len(said) + pending)


def test_one_qualified_answer_settles_under_expert() -> None:
    decision = decided(Review(), votes(3))
    assert (decision.action, decision.value, decision.posterior, decision.method) == (
        "resolve",
        3,
        ((3, 1.0),),
        "expert",
    )
    assert decided(Review(), [], pending=1).action == "wait"
    assert decided(Review(experts=["mia"]), votes(3)).action == "ask"
    assert decided(Review(experts=["mia"]), [*votes(3), Vote("mia", 4)]).value == 4
    assert decided(Review(), votes((2, 5))).posterior == (((2,), 1.0), ((5,), 1.0))


def test_a_crowd_waits_for_its_first_answers_however_sure() -> None:
    sure = {f"person {number}": Quality(0.99) for number in range(3)}
    assert decided(crowd(), votes(1, 1), sure, pending=1).action == "wait"
    missing = decided(crowd(), votes(1), sure)
    assert (missing.action, missing.more) == ("ask", 2)


@pytest.mark.parametrize("aggregation", ["majority", "dawid_skene", "weighted"])
def test_a_crowd_of_one_mind_resolves_and_a_divided_one_asks_on(aggregation: str) -> None:
    review = crowd(aggregation=aggregation)
    agreed = decided(review, votes(1, 1, 1))
    assert (agreed.action, agreed.value, agreed.method) == ("resolve", 1, aggregation)
    divided = decided(review, votes(1, 1, 2))
    assert (divided.action, divided.more, divided.value) == ("ask", 1, None)
    assert decided(review, votes(1, 1, 2), pending=1).action == "wait"
    leader = decided(review, votes(1, 1, 2, 1, 3))
    assert (leader.action, leader.value) == ("resolve", 1)


@pytest.mark.parametrize("aggregation", ["majority", "dawid_skene", "weighted"])
def test_a_tie_at_the_limit_stays_open_until_an_expert_breaks_it(aggregation: str) -> None:
    review, tied = crowd(aggregation=aggregation), votes(1, 1, 2, 2, 3)
    decision = decided(review, tied)
    assert (decision.action, decision.value) == ("expert", None)
    assert decision.posterior[0][1] == pytest.approx(decision.posterior[1][1])
    broken = decided(review, [*tied, Vote("mia", 3, expert=True)])
    assert (broken.action, broken.value, broken.method) == ("resolve", 3, "expert")


def test_an_item_handed_to_an_expert_early_is_theirs_to_settle() -> None:
    assert decided(crowd(), [*votes(1), Vote("mia", 2, expert=True)]).value == 2


def test_majority_shares_are_the_posterior() -> None:
    decision = decided(crowd(aggregation="majority"), votes(2, 7, 2, OUTSIDE))
    assert decision.posterior == ((2, 0.5), (7, 0.25), (OUTSIDE, 0.25))


def test_a_good_annotators_vote_outweighs_two_poor_ones() -> None:
    known = {"person 0": Quality(0.97), "person 1": Quality(0.6), "person 2": Quality(0.6)}
    decision = decided(crowd(aggregation="weighted", certainty=0.8), votes(1, 2, 2), known)
    assert decision.value == 1
    assert decided(crowd(aggregation="majority"), votes(1, 2, 2), known).posterior[0][0] == 2


def test_the_weighted_posterior_is_the_log_odds_rule() -> None:
    """Two labels: the posterior odds are the product of everybody's odds of being right."""
    known = {"person 0": Quality(0.9), "person 1": Quality(0.7)}
    decision = decide(crowd(aggregation="weighted"), [1, 2], votes(1, 2), known, pending=1, asked=3)
    odds = (0.9 / 0.1) / (0.7 / 0.3)
    assert dict(decision.posterior)[1] == pytest.approx(odds / (1 + odds))


def test_dawid_skene_knows_who_mixes_up_what() -> None:
    """People who call every 2 a 1 say nothing by saying 1; the third has never mixed them up."""
    blind = Quality(0.6, confusion={1: {1: 50}, 2: {1: 45, 2: 5}})
    sharp = Quality(0.9, confusion={1: {1: 45, 2: 2}, 2: {2: 45, 1: 2}})
    known = {"person 0": blind, "person 1": blind, "person 2": sharp}
    review = crowd(certainty=0.85)
    assert decided(review, votes(1, 1, 2), known).posterior[0][0] == 2
    assert decided(crowd(aggregation="majority"), votes(1, 1, 2), known).posterior[0][0] == 1


def test_certainty_does_not_grow_with_the_number_of_labels() -> None:
    few = decide(crowd(), [1, 2, 3], votes(1, 1, 2), {}, pending=0, asked=3)
    many = decide(crowd(), list(range(1, 151)), votes(1, 1, 2), {}, pending=0, asked=3)
    assert few.posterior == many.posterior
    assert many.action == "ask"


def test_answers_of_people_who_are_not_trusted_do_not_count() -> None:
    known = {"person 2": Quality(0.3, trusted=False)}
    assert decided(crowd(), votes(1, 1, 2), known).more == 1
    assert decided(crowd(), votes(1, 1, 2, 1), known).value == 1
    assert decided(Review(), votes(1), {"person 0": Quality(0.3, trusted=False)}).action == "ask"
    lost = {f"person {number}": Quality(0.3, trusted=False) for number in range(10)}
    assert decided(crowd(), votes(*[1] * 10), lost).action == "expert"


def test_combined_gives_disagreement_to_an_expert_whose_word_settles_it() -> None:
    review = Review(strategy="combined")
    assert decided(review, votes(1, 1, 1)).value == 1
    assert decided(review, votes(1, 1), pending=1).action == "wait"
    assert decided(review, votes(1, 2, 1)).action == "expert"
    assert decided(review, [*votes(1, 2, 1), Vote("mia", 2, expert=True)]).value == 2
    named = Review(strategy="combined", experts=["mia"])
    assert decided(named, [Vote("mia", 2)], pending=2).value == 2
    poor = {f"person {number}": Quality(0.5) for number in range(3)}
    assert decided(review, votes(1, 1, 1), poor).action == "expert"


@pytest.mark.parametrize("aggregation", ["majority", "dawid_skene", "weighted"])
def test_sets_are_decided_label_by_label(aggregation: str) -> None:
    review = crowd(aggregation=aggregation)
    agreed = decided(review, votes((1, 4), (1, 4), (1, 4)))
    assert (agreed.action, agreed.value) == ("resolve", (1, 4))
    assert {part for part, _ in agreed.posterior} == {(1,), (4,)}
    unsure = decided(review, votes((1,), (1, 4), (1,)))
    assert unsure.action == "ask"  # label 1 is certain, label 4 is not
    assert decided(review, votes((), (), ())).value == ()
    assert decided(review, votes((), (2,), (), (2,)), pending=1).action == "wait"
    outside = decided(review, votes((), OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE))
    assert outside.value == OUTSIDE


def test_a_label_that_half_of_the_votes_name_is_a_tie() -> None:
    review = crowd(answers=2, most_answers=2, aggregation="majority")
    assert decided(review, votes((1,), (1, 2))).action == "expert"


VALUES = st.sampled_from([1, 2, 3, OUTSIDE])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(VALUES, max_size=8),
    st.sampled_from(["expert", "crowd", "combined"]),
    st.sampled_from(["majority", "dawid_skene", "weighted"]),
    st.lists(st.floats(0, 1), min_size=8, max_size=8),
    st.integers(0, 3),
)
def test_every_decision_can_be_carried_out(
    values: list[Value], strategy: str, aggregation: str, weights: list[float], pending: int
) -> None:
    review = Review.model_validate({"strategy": strategy, "aggregation": aggregation})
    known = {f"person {number}": Quality(weight) for number, weight in enumerate(weights)}
    decision = decided(review, votes(*values), known, pending=pending)
    assert (decision.value is not None) == (decision.action == "resolve")
    assert (decision.more > 0) == (decision.action == "ask")
    assert decision.action == "wait" or not (pending and decision.action != "resolve")
    chances = [chance for _, chance in decision.posterior]
    assert all(0 <= chance <= 1 for chance in chances)
    assert chances == sorted(chances, reverse=True)
    assert math.fsum(chances) <= 1 + 1e-9
    if decision.value is not None:
        assert decision.value in values
