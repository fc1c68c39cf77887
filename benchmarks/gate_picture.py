"""Curves as panels of one SVG file, without a drawing library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_COLOURS = ("#98a2b1", "#c2542d", "#c99a2e", "#1f7a6d", "#2f5fa8")
_WIDTH, _HEIGHT, _EDGE, _ACROSS = 260, 210, 38, 5
_STYLE = (
    "svg{background:#fff;font:10px system-ui,sans-serif}text{fill:#667080}.title{fill:#333;font-size:11px}"
    "polyline{fill:none;stroke-width:1.6}.plot{fill:none;stroke:#dfe2e6}.level{stroke:#98a2b1;stroke-dasharray:3 3}"
)


@dataclass(frozen=True)
class Curve:
    """A name, and points `(x, share)`, by x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves in one frame, from 0 to 1 and over the same x."""

    title: str
    curves: Sequence[Curve]


def draw_panels(path: Path, panels: Sequence[Panel], title: str) -> None:
    """Draw `panels`, five in a row, and write them to `path`; dashed lines are at 5 and 80 %."""
    rows = -(-len(panels) // _ACROSS)
    width, height = _ACROSS * _WIDTH, rows * _HEIGHT + 24
    ends = [x for panel in panels for curve in panel.curves for x, _ in curve.points]
    span = (min(ends), max(ends))
    parts = [
        f'<g transform="translate({at % _ACROSS * _WIDTH},{at // _ACROSS * _HEIGHT + 24})">{_panel(panel, span)}</g>'
        for at, panel in enumerate(panels)
    ]
    heading = f'<text class="title" x="8" y="15">{escape(title)}</text>'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
    path.write_text(f"{opening}<style>{_STYLE}</style>{heading}{''.join(parts)}</svg>\n", encoding="utf-8")


def _panel(panel: Panel, span: tuple[float, float]) -> str:
    inner_width, inner_height = _WIDTH - 1.5 * _EDGE, _HEIGHT - 2 * _EDGE

    def place(x: float, y: float) -> tuple[float, float]:
        return _EDGE + (x - span[0]) / (span[1] - span[0]) * inner_width, _EDGE + (1 - y) * inner_height

    parts = [
        f'<text class="title" x="{_EDGE}" y="{_EDGE - 10}">{escape(panel.title)}</text>',
        f'<rect class="plot" x="{_EDGE}" y="{_EDGE}" width="{inner_width}" height="{inner_height}"/>',
    ]
    for level in (0.05, 0.8):
        (left, high), (right, _) = place(span[0], level), place(span[1], level)
        parts.append(f'<line class="level" x1="{left:.1f}" x2="{right:.1f}" y1="{high:.1f}" y2="{high:.1f}"/>')
        parts.append(f'<text x="{left - 4:.1f}" y="{high + 3:.1f}" text-anchor="end">{level:.0%}</text>')
    for x in (span[0], 0.0, span[1]):
        across, low = place(x, 0.0)
        parts.append(f'<text x="{across:.1f}" y="{low + 14:.1f}" text-anchor="middle">{x:+.0%}</text>')
    for number, curve in enumerate(panel.curves):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in curve.points)
        parts.append(f'<polyline points="{points}" stroke="{colour}"/>')
        high = _EDGE + 12 * (number + 1)
        parts.append(f'<text x="{_EDGE + 5}" y="{high}" style="fill:{colour}">{escape(curve.name)}</text>')
    return "".join(parts)
