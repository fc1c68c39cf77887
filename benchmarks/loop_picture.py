"""Lines with their intervals in one frame of an SVG file, without a drawing library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_COLOURS = ("#1f7a6d", "#98a2b1", "#c2542d", "#2f5fa8")
_WIDTH, _HEIGHT, _EDGE = 640, 380, 48
_STYLE = (
    "svg{background:#fff;font:11px system-ui,sans-serif}text{fill:#667080}.title{fill:#333;font-size:13px}"
    "polyline{fill:none;stroke-width:2}.plot{fill:none;stroke:#dfe2e6}.grid{stroke:#eef0f2}"
    ".level{stroke:#98a2b1;stroke-dasharray:4 3}.band{opacity:.15;stroke:none}"
)


@dataclass(frozen=True)
class Line:
    """A name, and points `(x, low, middle, high)`, by x; all are shares, 0 to 1."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Level:
    """A share that is held up to the lines, with its name."""

    name: str
    y: float


@dataclass(frozen=True)
class _Frame:
    """What is shown: x from 0 to `right`, y from `bottom` to `top`."""

    right: float
    bottom: float
    top: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point on the page."""
        across = _EDGE + x / self.right * (_WIDTH - 1.5 * _EDGE)
        down = _EDGE + (self.top - y) / (self.top - self.bottom) * (_HEIGHT - 2 * _EDGE)
        return across, down

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """Return points as the attribute `points` of SVG."""
        return " ".join("{:.1f},{:.1f}".format(*self.place(x, min(max(y, self.bottom), self.top))) for x, y in points)


def draw_lines(path: Path, lines: Sequence[Line], levels: Sequence[Level], *, title: str, across: str) -> None:
    """Draw `lines` over a common x, which is called `across`, and write them to `path`."""
    right = max(x for line in lines for x, *_ in line.points)
    lowest = min(low for line in lines for _, low, *_ in line.points)
    frame = _Frame(math.ceil(right * 10) / 10, math.floor(lowest * 20) / 20, 1.0)
    parts = [f'<text class="title" x="{_EDGE}" y="20">{escape(title)}</text>', *_grid(frame, across)]
    parts += [_level(frame, level) for level in levels]
    parts += [part for number, line in enumerate(lines) for part in _line(frame, line, number)]
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}">'
    path.write_text(f"{opening}<style>{_STYLE}</style>{''.join(parts)}</svg>\n", encoding="utf-8")


def _grid(frame: _Frame, across: str) -> list[str]:
    parts = []
    for step in range(round(frame.bottom * 20), 21):
        (left, down), (right, _) = frame.place(0.0, step / 20), frame.place(frame.right, step / 20)
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{down + 4:.1f}" text-anchor="end">{step / 20:.0%}</text>')
    for step in range(round(frame.right * 10) + 1):
        place, down = frame.place(step / 10, frame.bottom)
        parts.append(f'<text x="{place:.1f}" y="{down + 16:.1f}" text-anchor="middle">{step / 10:.0%}</text>')
    middle, _ = frame.place(frame.right / 2, frame.bottom)
    parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    return parts


def _level(frame: _Frame, level: Level) -> str:
    (left, down), (right, _) = frame.place(0.0, level.y), frame.place(frame.right, level.y)
    line = f'<line class="level" x1="{left:.1f}" x2="{right:.1f}" y1="{down:.1f}" y2="{down:.1f}"/>'
    return f'{line}<text x="{left + 6:.1f}" y="{down - 5:.1f}">{escape(level.name)}</text>'


def _line(frame: _Frame, line: Line, number: int) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    edge = [(x, high) for x, _, _, high in line.points] + [(x, low) for x, low, _, _ in reversed(line.points)]
    middles = [(x, middle) for x, _, middle, _ in line.points]
    down = _HEIGHT - _EDGE - 14 * (number + 1)
    return [
        f'<polygon class="band" points="{frame.path(edge)}" fill="{colour}"/>',
        f'<polyline points="{frame.path(middles)}" stroke="{colour}"/>',
        f'<text x="{_WIDTH - _EDGE}" y="{down}" text-anchor="end" style="fill:{colour}">{escape(line.name)}</text>',
    ]
