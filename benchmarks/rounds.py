"""What benchmarks share that measure running services round by round."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import Load, machine, need_tool
from core.settings import Settings, load_settings

_FORMS = {
    "texts_per_s": ("texts/s", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:.1f}"),
    "p99_ms": ("p99 ms", "{:.1f}"),
    "server_cpu_s_per_1000": ("CPU s/1000", "{:.2f}"),
    "client_cpu_share": ("client CPU", "{:.0%}"),
    "failed": ("failed", "{:.0f}"),
}
"""Column and form of each figure that is shown."""

FIGURES = tuple(_FORMS)


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the command line of a benchmark that measures in rounds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    return parser


def begin(description: str | None) -> tuple[int, float, dict[str, object], Settings]:
    """Read the command line; return rounds, seconds of each measurement, the machine before any load, and settings.

    Leaves with one clear line when the load generator is missing.
    """
    given = options(description).parse_args()
    need_tool("wrk")
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    return given.rounds, given.seconds, about, settings


def columns(figures: Iterable[str] = FIGURES) -> list[str]:
    """Return the columns of `figures`, which are fields of `Load`."""
    return [_FORMS[figure][0] for figure in figures]


def medians(measured: Sequence[Any], figures: Iterable[str] = FIGURES) -> list[str]:
    """Return the median of each of `figures` over rounds, in words; "-" for one that was not measured."""
    return [
        _FORMS[figure][1].format(median(getattr(one, figure) for one in measured))
        if hasattr(measured[0], figure)
        else "-"
        for figure in figures
    ]


def show(table: Table, promised: Mapping[str, float]) -> None:
    """Print a table of medians, and the figures that are promised."""
    console = Console(width=120)
    console.print(table)
    for name, value in promised.items():
        console.print(f"{name}: [bold]{value:.2f}[/bold]")


def kept(keys: Sequence[str], loads: Mapping[tuple[Any, ...], Sequence[Load]]) -> list[dict[str, object]]:
    """Return every round of `loads` as it is kept in a result; `keys` name the parts of what they are by."""
    return [
        {**dict(zip(keys, by, strict=True)), "rounds": [asdict(one) for one in measured]}
        for by, measured in loads.items()
    ]
