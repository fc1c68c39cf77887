"""The charts of the task page, and which reports are shown: pure functions, and files in a folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.activity import Day, Hour
from feedback.recent import Latest
from feedback.sampling import Estimate
from feedback.stats import QueueStats
from service.pages.figures import (
    BINS,
    MOST_STEPS,
    confidence_chart,
    days_chart,
    histogram,
    hours_chart,
    shown_steps,
    trade_off_chart,
    work_chart,
)
from service.pages.reports import report_file, triage_file
from service.pages.task import look_lately, promise_of, waiting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = {"reviews": "Reviews", "error_left": "Left", "at_most": "At most", "in_force": "Now"}

latest = st.builds(
    Latest, st.just("v1"), st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, "audit", "low_confidence"])
)


@given(st.lists(latest))
def test_every_prediction_stands_in_one_bar(made: list[Latest]) -> None:
    bars = histogram(made)
    assert [start for start, _, _ in bars] == [number / BINS for number in range(BINS)]
    assert sum(unasked for _, unasked, _ in bars) == sum(one.reason is None for one in made)
    assert sum(asked for _, _, asked in bars) == sum(one.reason is not None for one in made)


def test_bars_begin_where_they_say() -> None:
    found = histogram([Latest("v1", confidence, 0.0, None) for confidence in (0.0, 0.05, 0.999, 1.0)])
    assert [unasked for _, unasked, _ in found] == [1, 1, *[0] * (BINS - 3), 2]


@given(st.lists(latest))
def test_reasons_add_up(made: list[Latest]) -> None:
    found = look_lately(made)
    assert found.predictions == len(made)
    assert sum(n for _, n in found.reasons) == found.asked == sum(one.reason is not None for one in made)
    assert [n for _, n in found.reasons] == sorted((n for _, n in found.reasons), reverse=True)


def test_the_hour_chart_stacks_to_the_traffic() -> None:
    hours = [Hour(NOON, 10, 3), Hour(NOON + timedelta(hours=1), 0, 0)]
    chart = hours_chart(hours, "rest", "asked")
    assert [trace["name"] for trace in chart["data"]] == ["rest", "asked"]
    assert [a + b for a, b in zip(*(trace["y"] for trace in chart["data"]), strict=True)] == [10, 0]
    assert chart["layout"]["barmode"] == "stack"
    assert chart["data"][0]["x"] == ["2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00"]


def test_days_are_days() -> None:
    days = [Day(NOON.replace(hour=0), 10, 3, 2, 1)]
    assert days_chart(days, "predictions")["data"][0]["x"] == ["2026-03-01"]
    assert [trace["y"] for trace in work_chart(days, "asked", "answers", "resolved")["data"]] == [[3], [2], [1]]


def test_the_histogram_has_a_line_only_where_there_is_a_threshold() -> None:
    bars = histogram([])
    assert confidence_chart(bars, None, "rest", "asked")["layout"]["shapes"] == []
    (line,) = confidence_chart(bars, 0.8, "rest", "asked")["layout"]["shapes"]
    assert (line["x0"], line["x1"]) == (0.8, 0.8)


def plan_with(*steps: dict[str, Any]) -> dict[str, Any]:
    whole = {"confidence": 0.5, "reviewed": 0.1, "reviews_per_day": 10.0, "error_left": 0.1, "at_most": 0.2}
    return {"steps": [whole | {"in_force": False} | step for step in steps], "risk": {"max_error": 0.05}}


def test_the_trade_off_leaves_out_what_cannot_be_told() -> None:
    plan = plan_with({"reviews_per_day": None}, {"error_left": None}, {"error_left": 0.02, "in_force": True})
    at_most, left, now = trade_off_chart(plan, NAMES)["data"]
    assert (at_most["y"], left["y"], now["y"], now["x"]) == ([0.2], [0.02], [0.02], [10.0])
    assert trade_off_chart(plan, NAMES)["layout"]["shapes"][0]["y0"] == 0.05
    assert trade_off_chart(plan | {"risk": None}, NAMES)["layout"]["shapes"] == []


@given(st.integers(1, 300), st.data())
def test_the_table_of_steps_is_short_and_has_what_matters(n: int, data: st.DataObject) -> None:
    in_force = data.draw(st.integers(0, n - 1))
    steps = [{"place": place, "in_force": place == in_force} for place in range(n)]
    places = [step["place"] for step in shown_steps(steps)]
    assert places == sorted(set(places))
    assert {0, in_force, n - 1} <= set(places)
    assert len(places) <= MOST_STEPS + 2


def test_charts_are_json_and_name_their_colours() -> None:
    charts = [
        hours_chart([Hour(NOON, 1, 1)], "a", "b"),
        confidence_chart(histogram([]), 0.5, "a", "b"),
        trade_off_chart(plan_with({"in_force": True}), NAMES),
    ]
    for chart in charts:
        text = json.dumps(chart, allow_nan=False)
        assert "#" not in text, "a colour of its own would be the same in light and dark"
        assert "--accent" in text


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.06, 0.09, "broken"), (0.01, 0.04, "kept"), (0.01, 0.09, "unclear")]
)
def test_a_promise_is_judged_by_the_whole_interval(low: float, high: float, said: str) -> None:
    assert promise_of(Estimate(0.05, low, high, 0.1, 10, 100), 0.05) == said
    assert promise_of(None, 0.05) == "unknown"


def test_what_waits_most_comes_first() -> None:
    stats = QueueStats(4, 0, 9, {"open": {"audit": 1, "drift": 3}, "resolved": {"audit": 9}}, None, None, 0, {}, 0)
    assert waiting(stats) == [("drift", 3), ("audit", 1)]


def test_only_reports_that_are_there_are_shown(tmp_path: Path) -> None:
    (tmp_path / "mail-v1.html").write_text("<p>report", encoding="utf-8")
    (tmp_path / "mail-triage.html").mkdir()
    (tmp_path / "secret.html").write_text("secret", encoding="utf-8")
    (tmp_path / "mail-v2.html").symlink_to(tmp_path / "secret.html")
    assert report_file(tmp_path, "mail", "v1") == tmp_path / "mail-v1.html"
    assert report_file(tmp_path, "mail", "v2") is None, "a link leads elsewhere"
    assert report_file(tmp_path / "gone", "mail", "v1") is None
    assert triage_file(tmp_path, "mail") is None
