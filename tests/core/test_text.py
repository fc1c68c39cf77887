"""Which texts are usable, and which are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id
from core.text import MAX_TEXT_LENGTH, normalise, text_fault, text_hash


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("   \n\t", "blank"),
        ("\u200b\u200d\ufeff", "blank"),
        *((char, "blank") for char in "\u3164\u2800\u115f\u1160\uffa0\ufe0f\u180e\u034f\u0001\u0301\u0378\U000e0041"),
        (" \u3164\ufe0f\n\u2800", "blank"),
        ("\ud800", "surrogate"),
        ("a\x00b", "U+0000"),
        ("x" * (MAX_TEXT_LENGTH + 1), "10,001 characters"),
        ("a\ud800", "surrogate"),
    ],
)
def test_unusable_texts_are_explained(text: str, word: str) -> None:
    assert word in (text_fault(text) or "")


@pytest.mark.parametrize(
    "text",
    ["a", "?", "😡", "退款", "x" * MAX_TEXT_LENGTH, "👩‍👩‍👧‍👦", "ok\n", "\u3164é", "ㅋ", "⠓", "٣", "…", "❤\ufe0f"],
)
def test_usable_texts_have_no_fault(text: str) -> None:
    assert text_fault(text) is None


def test_copies_have_one_hash() -> None:
    assert text_hash("Where IS  my\nParcel? ") == text_hash("where is my parcel?")
    assert text_hash("ＷＨＥＲＥ") == text_hash("where")
    assert text_hash("cancel it") != text_hash("don't cancel it")


@given(st.text(max_size=100))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_ids_sort_by_creation() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert ids[0][14] == "7"
