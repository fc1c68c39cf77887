"""Charts of the task page, as plotly.js draws them: plain dicts, from figures that are known.

A colour is the name of a custom property of the style sheet, such as `--accent`; `static/charts.js` puts in its value,
in light and dark. Words come from the template, in the reader's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feedback.activity import Day, Hour
from feedback.recent import Latest

Figure = dict[str, Any]
"""`data` and `layout` of plotly.js, ready for JSON."""

BINS = 20
"""Bars of the histogram of confidence, each a twentieth wide."""

MOST_STEPS = 14
"""Rows of the table beside the trade-off; the chart has all."""


def hours_chart(hours: Sequence[Hour], unasked: str, selected: str) -> Figure:
    """Draw the traffic of each hour: what nobody was asked about, and on top what was selected for review."""
    starts = [hour.start.isoformat() for hour in hours]
    rest = [max(0, hour.predictions - hour.selected) for hour in hours]
    bars = [
        _bars(unasked, starts, rest, "--accent"),
        _bars(selected, starts, [hour.selected for hour in hours], "--warn"),
    ]
    return {"data": bars, "layout": _layout(barmode="stack", xaxis=_moments("%H:%M<br>%m-%d"))}


def days_chart(days: Sequence[Day], predictions: str) -> Figure:
    """Draw the traffic of each day."""
    bars = _bars(predictions, _dates(days), [day.predictions for day in days], "--accent")
    return {"data": [bars], "layout": _layout(xaxis=_moments("%m-%d"), showlegend=False)}


def work_chart(days: Sequence[Day], selected: str, answers: str, resolved: str) -> Figure:
    """Draw what triage asked for each day, the answers that came, and what they settled."""
    dates = _dates(days)
    lines = [
        _line(selected, dates, [day.selected for day in days], "--warn"),
        _line(answers, dates, [day.answers for day in days], "--accent"),
        _line(resolved, dates, [day.resolved for day in days], "--good", dash="dot"),
    ]
    return {"data": lines, "layout": _layout(xaxis=_moments("%m-%d"))}


def histogram(latest: Sequence[Latest]) -> list[tuple[float, int, int]]:
    """Return of each of `BINS` bars where it begins, and how many predictions nobody and somebody was asked about."""
    counts = [[0, 0] for _ in range(BINS)]
    for one in latest:
        counts[min(BINS - 1, max(0, int(one.confidence * BINS)))][one.reason is not None] += 1
    return [(number / BINS, unasked, asked) for number, (unasked, asked) in enumerate(counts)]


def confidence_chart(bars: Sequence[tuple[float, int, int]], trust: float | None, unasked: str, asked: str) -> Figure:
    """Draw `histogram`, with a line at `trust`, the confidence below which an answer is doubtful, if there is one."""
    middles = [start + 0.5 / BINS for start, _, _ in bars]
    data = [
        _bars(unasked, middles, [n for _, n, _ in bars], "--accent"),
        _bars(asked, middles, [n for _, _, n in bars], "--warn"),
    ]
    axis = {"range": [0, 1], "tickformat": ".0%", "dtick": 0.2, "automargin": True}
    lines = [] if trust is None else [_rule(x0=trust, x1=trust, y0=0, y1=1, yref="paper")]
    return {"data": data, "layout": _layout(barmode="stack", bargap=0.08, xaxis=axis, shapes=lines)}


def trade_off_chart(plan: dict[str, Any], names: dict[str, str]) -> Figure:
    """Draw the error that is left against the reviews a day that each step asks for; `names` has the words.

    `plan` is what `service.plan.make_plan` returns; its promise is the dashed line, the dot the step in force.
    """
    steps = [step for step in plan["steps"] if step["reviews_per_day"] is not None and step["error_left"] is not None]
    reviews = [step["reviews_per_day"] for step in steps]
    now = [step for step in steps if step["in_force"]]
    data = [
        _line(names["at_most"], reviews, [step["at_most"] for step in steps], "--muted", dash="dot"),
        _line(names["error_left"], reviews, [step["error_left"] for step in steps], "--accent"),
        {
            **_line(names["in_force"], [step["reviews_per_day"] for step in now], [], "--warn"),
            "y": [step["error_left"] for step in now],
            "mode": "markers",
            "marker": {"color": "--warn", "size": 11},
        },
    ]
    promise = [] if plan["risk"] is None else [_rule(x0=0, x1=1, xref="paper", y0=plan["risk"]["max_error"])]
    xaxis = {"title": {"text": names["reviews"]}, "rangemode": "tozero", "automargin": True}
    yaxis = {"tickformat": ".1%", "rangemode": "tozero", "automargin": True}
    return {"data": data, "layout": _layout(xaxis=xaxis, yaxis=yaxis, shapes=promise, hovermode="closest")}


def shown_steps(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return up to about `MOST_STEPS` steps, evenly taken, the last and the one in force among them."""
    every, last = max(1, -(-len(steps) // MOST_STEPS)), len(steps) - 1
    return [step for place, step in enumerate(steps) if place % every == 0 or place == last or step["in_force"]]


def _dates(days: Sequence[Day]) -> list[str]:
    return [day.start.date().isoformat() for day in days]


def _bars(name: str, x: Sequence[Any], y: Sequence[float], colour: str) -> dict[str, Any]:
    return {"type": "bar", "name": name, "x": list(x), "y": list(y), "marker": {"color": colour}}


def _line(name: str, x: Sequence[Any], y: Sequence[float], colour: str, dash: str = "solid") -> dict[str, Any]:
    line = {"color": colour, "width": 2, "dash": dash}
    return {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": list(y), "line": line}


def _rule(**place: Any) -> dict[str, Any]:
    return {"type": "line", "line": {"color": "--ink", "width": 1.5, "dash": "dash"}, "y1": place.get("y0"), **place}


def _moments(form: str) -> dict[str, Any]:
    return {"type": "date", "tickformat": form, "nticks": 8, "automargin": True}


def _layout(**more: Any) -> dict[str, Any]:
    common: dict[str, Any] = {
        "margin": {"l": 8, "r": 24, "t": 8, "b": 8},
        "yaxis": {"rangemode": "tozero", "automargin": True},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "hovermode": "x unified",
        "showlegend": True,
    }
    return common | more
