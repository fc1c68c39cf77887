"""How alike texts are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedback.likeness import Collection, features_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(TEXTS, max_size=6), TEXTS)
def test_likeness_is_between_nothing_and_the_same(texts: list[str], text: str) -> None:
    found = Collection([features_of(one) for one in [*texts, text]]).likeness(features_of(text))
    assert found.shape == (len(texts) + 1,)
    assert np.all((found >= 0) & (found <= 1))
    assert found[-1] > 0.999


@given(TEXTS, TEXTS)
def test_likeness_is_the_same_both_ways(one: str, two: str) -> None:
    both = Collection([features_of(one), features_of(two)])
    assert abs(both.likeness(features_of(one))[1] - both.likeness(features_of(two))[0]) < 1e-5


def test_nothing_to_compare_with() -> None:
    assert Collection([]).likeness(features_of("text")).shape == (0,)


def _order(text: str, *others: str) -> list[str]:
    found = Collection([features_of(one) for one in others]).likeness(features_of(text))
    return [others[place] for place in np.argsort(-found)]


def test_what_is_about_the_same_is_more_alike() -> None:
    asked = "where is my parcel, it should be here since monday"
    close, other, far = "my parcel was to be here on monday", "is my refund here", "i forgot the password"
    assert _order(asked, far, other, close) == [close, other, far]


def test_chinese_needs_no_spaces() -> None:
    assert _order("我的包裹还没有到", "我想退款", "忘记密码了", "包裹到了没有")[0] == "包裹到了没有"


def test_what_every_text_has_says_little() -> None:
    greeting = "dear sir or madam, "
    texts = [greeting + end for end in ("refund", "parcel", "password", "invoice")]
    found = Collection([features_of(one) for one in texts]).likeness(features_of("the parcel"))
    assert int(np.argmax(found)) == 1


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    long = "where is my parcel " * 500
    assert len(features_of(long).places) == len(features_of(long[:600]).places)
