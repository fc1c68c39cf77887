"""Pictures of a run's report as inline SVG, in the style of `training/charts.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from training.run_tables import LabelChange

_WIDTH = 640
_LEFT = 190
_ROW = 18
_MOST_LABELS = 40
_LONGEST_NAME = 26


def gain_chart(primary: Mapping[str, Any], wanted: float) -> Markup | None:
    """Draw the gain with its interval, and what is `wanted` of it (a share, such as -0.02); None without figures.

    `primary` are the figures of the gate's accuracy check.
    """
    if not {"low", "gain", "high"} <= primary.keys():
        return None
    low, gain, high = (float(primary[name]) for name in ("low", "gain", "high"))
    reach = 1.15 * max(abs(low), abs(high), abs(wanted), 0.005)

    def x(value: float) -> float:
        return round(40 + (value + reach) / (2 * reach) * (_WIDTH - 80), 1)

    good = "after" if low > wanted else "before"
    parts = [
        _upright(x(0.0), "ideal", "as good as the champion"),
        _upright(x(wanted), "before", f"wanted: above {wanted:+.1%}"),
        Markup('<polyline class="{}" style="stroke-width:6" points="{},50 {},50"/>').format(good, x(low), x(high)),
        Markup('<circle class="{}" cx="{}" cy="50" r="7"><title>{}</title></circle>').format(
            good, x(gain), f"gain {gain:+.2%}, between {low:+.2%} and {high:+.2%}"
        ),
        *(_under(x(value), text) for value, text in ((low, f"{low:+.2%}"), (high, f"{high:+.2%}"))),
    ]
    return _picture(_WIDTH, 104, "Gain of the candidate, with its interval", parts)


def label_chart(changes: Sequence[LabelChange]) -> Markup | None:
    """Draw by label the share of gold rows that are right, from the champion's dot to the candidate's.

    Labels for which nothing changes are left out, and of the others those that change most are shown.
    """
    moved = [one for one in changes if one.gained or one.lost]
    shown = sorted(moved, key=lambda one: -abs(one.candidate - one.champion))[:_MOST_LABELS]
    if not shown:
        return None
    shown.sort(key=lambda one: one.candidate - one.champion)
    inner = _WIDTH - _LEFT - 40
    parts = [
        Markup('<rect class="plot" x="{}" y="8" width="{}" height="{}"/>').format(_LEFT, inner, _ROW * len(shown) + 4)
    ]
    for at, one in enumerate(shown):
        parts.append(_slope(one, 8 + at * _ROW + _ROW / 2 + 2, inner))
    foot = 8 + _ROW * len(shown) + 22
    parts += [_text(_LEFT, foot, "0 %", "middle"), _text(_LEFT + inner, foot, "100 %", "middle")]
    return _picture(_WIDTH, foot + 8, "Share of gold rows right by label, champion to candidate", parts)


def _slope(one: LabelChange, y: float, inner: float) -> Markup:
    kind = "after" if one.candidate >= one.champion else "before"
    start, end = (round(_LEFT + share * inner, 1) for share in (one.champion, one.candidate))
    said = f"{one.label}: {one.champion:.1%} to {one.candidate:.1%} of {one.n} rows, {one.gained} won, {one.lost} lost"
    name = one.label if len(one.label) <= _LONGEST_NAME else one.label[: _LONGEST_NAME - 1] + "…"
    return Markup(
        '<g><title>{}</title><polyline class="{}" points="{},{} {},{}"/>'
        '<circle class="{}" style="fill-opacity:.25" cx="{}" cy="{}" r="4"/>'
        '<circle class="{}" cx="{}" cy="{}" r="4.5"/>'
        '<text class="name" text-anchor="end" x="{}" y="{}">{}</text></g>'
    ).format(said, kind, start, y, end, y, kind, start, y, kind, end, y, _LEFT - 8, y + 3.5, name)


def _upright(x: float, kind: str, said: str) -> Markup:
    line = Markup('<polyline class="{}" points="{},26 {},74"/>').format(kind, x, x)
    return line + _text(x, 18, said, "middle")


def _under(x: float, said: str) -> Markup:
    return _text(x, 90, said, "middle")


def _text(x: float, y: float, said: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, said)


def _picture(width: int, height: float, name: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {0} {1}" style="max-width:{0}px" role="img" aria-label="{2}">')
    return opening.format(width, height, escape(name)) + Markup("").join(parts) + Markup("</svg>")
