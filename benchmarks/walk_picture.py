"""Stacked bars as one SVG file, without a drawing library: what each step of something takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_COLOURS = (
    "#98a2b1",
    "#5d8fc9",
    "#c99a2e",
    "#7a5fa8",
    "#1f7a6d",
    "#c2542d",
    "#2f5fa8",
    "#b0457b",
    "#6b8e23",
    "#555e6b",
    "#d9a6a0",
)
_WIDTH, _LEFT, _BAR, _LINE = 900, 130, 34, 15
_STYLE = "svg{background:#fff;font:11px system-ui,sans-serif}text{fill:#4a525e}.title{fill:#222;font-size:13px}"


@dataclass(frozen=True)
class Bar:
    """A name, and how long each step takes, in order."""

    name: str
    steps: Mapping[str, float]


def draw_bars(path: Path, bars: Sequence[Bar], title: str) -> None:
    """Draw `bars`, which have the same steps, each on the scale of the longest, with a list of all figures below."""
    scale = (_WIDTH - _LEFT - 20) / max(sum(bar.steps.values()) for bar in bars)
    below = 34 + len(bars) * (_BAR + 14) + 12
    parts = [f'<text class="title" x="8" y="18">{escape(title)}</text>']
    for place, bar in enumerate(bars):
        parts += _drawn(bar, 34 + place * (_BAR + 14), scale)
    for place, name in enumerate(bars[0].steps):
        figures = ", ".join(f"{bar.steps[name]:.1f}" for bar in bars)
        high = below + place * _LINE
        parts.append(f'<rect x="8" y="{high - 9}" width="10" height="10" fill="{_COLOURS[place % len(_COLOURS)]}"/>')
        parts.append(f'<text x="24" y="{high}">{escape(name)}: {figures}</text>')
    height = below + len(bars[0].steps) * _LINE
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">'
    path.write_text(f"{opening}<style>{_STYLE}</style>{''.join(parts)}</svg>\n", encoding="utf-8")


def _drawn(bar: Bar, top: float, scale: float) -> list[str]:
    parts, left = [f'<text x="8" y="{top + _BAR / 2 + 4}">{escape(bar.name)}</text>'], float(_LEFT)
    for place, (name, cost) in enumerate(bar.steps.items()):
        told = f"<title>{escape(name)}: {cost:.1f}</title>"
        colour = _COLOURS[place % len(_COLOURS)]
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{cost * scale:.1f}" height="{_BAR}" fill="{colour}">{told}</rect>'
        )
        left += cost * scale
    parts.append(f'<text x="{left + 4:.1f}" y="{top + _BAR / 2 + 4}">{sum(bar.steps.values()):.0f}</text>')
    return parts
