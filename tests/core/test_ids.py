"""Ids: their form, their order and the moment that is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.ids import first_id, id_moment, is_id, new_id


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    identifier = new_id()
    assert before <= id_moment(identifier) <= datetime.now(UTC)
    assert is_id(identifier)


def test_the_first_id_of_a_moment_is_below_those_made_since() -> None:
    earlier = new_id()
    moment = id_moment(earlier)
    assert is_id(first_id(moment))
    assert first_id(moment) <= earlier <= new_id()
    assert first_id(moment + timedelta(milliseconds=1)) > earlier


ID = "019a8f3e-52c1-7d4b-9a6e-3f0c2b7d81e5"


@pytest.mark.parametrize(
    "text",
    ["", "nope", "\x00", "6f1d2c3b-8a94-4e57-b0c1-d2e3f4a5b6c7", ID.upper(), f"{ID}\n", ID.replace("-", "")],
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert is_id(ID)
    assert not is_id(text)
