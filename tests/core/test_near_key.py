"""Near-copies mostly share a key, and other texts do not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from core.near_key import near_key

WORDS = st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=6), min_size=1, max_size=12)


@given(words=WORDS, chance=st.randoms())
def test_order_case_and_punctuation_change_nothing(words: list[str], chance: random.Random) -> None:
    shuffled = [word.upper() for word in words]
    chance.shuffle(shuffled)
    assert near_key("a", " ".join(words)) == near_key("a", "! ".join(shuffled))


@given(text=st.text(max_size=200), label=st.text(max_size=20))
def test_the_key_fits_its_column(text: str, label: str) -> None:
    key = near_key(label, text)
    assert len(key) == 24
    assert int(key, 16) >= 0


def test_labels_keep_texts_apart() -> None:
    assert near_key("cancel", "stop it") != near_key("refund", "stop it")


def test_texts_of_mostly_the_same_words_share_a_key_more_often_than_others() -> None:
    chance = random.Random(5)
    words = [f"w{number}" for number in range(500)]
    near = other = 0
    for _ in range(400):
        text = chance.sample(words, 12)
        near += near_key("a", " ".join(text)) == near_key("a", " ".join(text[:-1]))
        other += near_key("a", " ".join(text)) == near_key("a", " ".join(chance.sample(words, 12)))
    assert near > 0.7 * 400
    assert other == 0


def test_characters_of_chinese_are_words() -> None:
    assert near_key("a", "我要退款") == near_key("a", "退款我要")
    assert near_key("a", "我要退款") != near_key("a", "忘记密码")
