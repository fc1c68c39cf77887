"""When runs begin by themselves: pure questions about what is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from feedback.new_reviews import Known
from tasks.declaration import Retrain
from tasks.moments import fires_between, is_within
from training.triggers import due

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
QUIET = Known(
    now=NOON,
    at_work=False,
    live_since=NOON - timedelta(days=3),
    ended_at=None,
    cron_at=None,
    new=0,
    new_since_full=0,
    oldest_new=None,
)
NEVER = Retrain(fast_after=0)


def test_nothing_is_due_without_a_reason() -> None:
    assert due(QUIET, Retrain()) is None
    assert due(replace(QUIET, new=10_000, new_since_full=10_000), NEVER) is None


def test_after_so_many_items() -> None:
    assert due(replace(QUIET, new=29), Retrain()) is None
    assert due(replace(QUIET, new=30), Retrain()) == ("fast", "new items")
    both = Retrain(full_after=100)
    assert due(replace(QUIET, new=30, new_since_full=99), both) == ("fast", "new items")
    assert due(replace(QUIET, new=30, new_since_full=100), both) == (
        "full",
        "new items",
    )


def test_after_so_long() -> None:
    when = Retrain(fast_after=0, oldest_hours=6)
    assert due(replace(QUIET, new=1, oldest_new=NOON - timedelta(hours=5)), when) is None
    assert due(replace(QUIET, new=1, oldest_new=NOON - timedelta(hours=6)), when) == (
        "fast",
        "old items",
    )


def test_by_the_clock_and_once_for_what_was_missed() -> None:
    when = Retrain(fast_after=0, cron="0 3 * * *")
    assert due(QUIET, when) == ("full", "cron")
    asked = replace(QUIET, cron_at=NOON - timedelta(hours=8, minutes=59))
    assert due(asked, when) is None
    assert due(replace(asked, now=NOON + timedelta(hours=15)), when) == ("full", "cron")
    assert due(replace(QUIET, live_since=NOON - timedelta(hours=1)), when) is None
    local = Retrain(fast_after=0, cron="0 13 * * *", timezone="Europe/Zurich")
    before = replace(QUIET, live_since=NOON - timedelta(hours=2))
    assert due(replace(before, now=NOON - timedelta(minutes=61)), local) is None
    assert due(replace(before, now=NOON - timedelta(minutes=60)), local) == (
        "full",
        "cron",
    ), "noon in UTC is 14:00 there"


@pytest.mark.parametrize(
    ("began", "asked", "when", "trigger"),
    [
        ("fell_at", "fall_at", Retrain(audit_below=0.85), "low accuracy"),
        ("drifted_at", "drift_at", Retrain(drift_above=0.25), "drift"),
    ],
)
def test_what_the_watch_finds_begins_one_run(began: str, asked: str, when: Retrain, trigger: str) -> None:
    found: dict[str, Any] = {began: NOON - timedelta(hours=2), "new_since_full": 30}
    bad = replace(QUIET, **found)
    assert due(bad, Retrain()) is None, "nobody wants it"
    assert due(bad, when) == ("full", trigger)
    assert due(replace(bad, new_since_full=29), when) is None, "nothing was found out since"
    assert due(replace(bad, new_since_full=1), when.model_copy(update={"fast_after": 0})) == ("full", trigger)
    assert due(replace(bad, new_since_full=0), when.model_copy(update={"fast_after": 0})) is None
    once: dict[str, Any] = {asked: NOON - timedelta(hours=1)}
    assert due(replace(bad, **once, new_since_full=10_000), when) is None, "one for each time"
    again: dict[str, Any] = {began: NOON - timedelta(minutes=30)}
    assert due(replace(bad, **(once | again)), when) == ("full", trigger)


@pytest.mark.parametrize(
    "held_back",
    [
        {"at_work": True},
        {"live_since": None},
        {"ended_at": NOON - timedelta(minutes=9)},
        {"now": NOON.replace(hour=23)},
        {"now": NOON.replace(hour=5, minute=59)},
    ],
)
def test_what_holds_a_run_back(held_back: dict[str, datetime | bool | None]) -> None:
    when = Retrain(quiet_hours="22:00-06:00")
    wanted = replace(QUIET, new=100)
    assert due(wanted, when) is not None
    assert due(replace(wanted, **held_back), when) is None  # type: ignore[arg-type]
    assert due(replace(wanted, ended_at=NOON - timedelta(minutes=10)), when) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "every night"},
        {"cron": "0 25 * * *"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc"},
        {"quiet_hours": "22-6"},
        {"quiet_hours": "24:00-06:00"},
        {"fast_after": -1},
    ],
)
def test_what_cannot_be_declared(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Retrain.model_validate(wrong)


@given(st.times(), st.times(), st.datetimes(timezones=st.just(UTC)))
def test_hours_and_the_others_make_a_day(start: object, end: object, moment: datetime) -> None:
    one, other = f"{start:%H:%M}-{end:%H:%M}", f"{end:%H:%M}-{start:%H:%M}"
    inside, outside = (is_within(hours, moment, "UTC") for hours in (one, other))
    assert inside != outside or f"{start:%H:%M}" == f"{end:%H:%M}"


def test_clocks_that_are_put_forward_and_back() -> None:
    zone = "Europe/Zurich"
    forth = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = fires_between("30 2 * * *", forth, forth + timedelta(days=1), zone)
    assert found is not None, "02:30 does not exist on that night"
    back = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = fires_between("30 2 * * *", back, back + timedelta(days=1), zone)
    assert first is not None
    assert fires_between("30 2 * * *", first, back + timedelta(days=1), zone) is None, (
        "02:30 comes twice, and counts once"
    )
