"""Throughput by clients and p99 by load, a line a peer, as one SVG file without a drawing library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

OURS = -1

_FIRST = "#c2542d"
_OTHERS = ("#1f7a6d", "#2f5fa8", "#8a5fb0", "#c99a2e", "#5b8c3a", "#b04a72", "#3f8fa8", "#7a6a4f", "#667080", "#98a2b1")
_WIDTH, _HEIGHT, _LEFT, _TOP, _LABELS = 560, 380, 56, 46, 140
_STYLE = (
    "svg{background:#fff;font:11px system-ui,sans-serif}text{fill:#667080}.title{fill:#333;font-size:13px}"
    "polyline{fill:none}.grid{stroke:#e4e7ea}"
)


@dataclass(frozen=True)
class Line:
    """A name, points `(x, y)` by x, and the number of its colour: `OURS` is drawn to be seen first."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int


@dataclass(frozen=True)
class Chart:
    """Lines over an axis of the given `ticks`, which stand at equal distances; y is logarithmic."""

    title: str
    ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line]


def draw(path: Path, charts: Sequence[Chart]) -> None:
    """Draw `charts` beside each other and write them to `path`."""
    width = len(charts) * _WIDTH
    parts = [f'<g transform="translate({at * _WIDTH},0)">{_chart(chart)}</g>' for at, chart in enumerate(charts)]
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}">'
    path.write_text(f"{opening}<style>{_STYLE}</style>{''.join(parts)}</svg>\n", encoding="utf-8")


def _chart(chart: Chart) -> str:
    values = [y for line in chart.lines for _, y in line.points]
    low, high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05
    right, bottom = _WIDTH - _LABELS, _HEIGHT - 40
    steps = {x: number / max(1, len(chart.ticks) - 1) for number, (x, _) in enumerate(chart.ticks)}

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + steps[x] * (right - _LEFT), bottom - (math.log10(y) - low) / (high - low) * (bottom - _TOP)

    parts = [f'<text class="title" x="{_LEFT}" y="22">{escape(chart.title)}</text>']
    for level in _levels(10**low, 10**high):
        y = place(chart.ticks[0][0], level)[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{level:,g}</text>')
    for x, words in chart.ticks:
        across = _LEFT + steps[x] * (right - _LEFT)
        parts.append(f'<text x="{across:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(words)}</text>')
    heights = _spread([place(*line.points[-1])[1] for line in chart.lines])
    for line, height in zip(chart.lines, heights, strict=True):
        colour, thick = (_FIRST, 3) if line.colour == OURS else (_OTHERS[line.colour % len(_OTHERS)], 1.4)
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-width="{thick}"/>')
        parts.append(f'<text x="{right + 6}" y="{height + 4:.1f}" style="fill:{colour}">{escape(line.name)}</text>')
    return "".join(parts)


def _levels(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]


def _spread(heights: Sequence[float], apart: float = 13) -> list[float]:
    """Return `heights` moved down where two would be nearer than `apart`, so that names do not overlap."""
    placed, last = [0.0] * len(heights), -math.inf
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        last = placed[number] = max(heights[number], last + apart)
    return placed
