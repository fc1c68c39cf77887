"""What has happened in a demo so far, and showing it while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from regrade.output import console

if TYPE_CHECKING:
    from rich.table import Table

_REFRESH_S = 0.25

_LINGER_S = 3.0
"""Seconds for which people go on answering after the last message."""


@dataclass
class Counts:
    """What has happened with one task: messages sent, of which people are `asked`; and what the people did."""

    sent: int = 0
    asked: int = 0
    reported: int = 0
    answered: int = 0
    skipped: int = 0
    resolved: int = 0
    decided: int = 0


def watch(counts: Mapping[str, Counts], sends: Callable[[], bool], seconds: float | None, messages: int | None) -> None:
    """Show `counts` by task on standard error until `seconds` have gone by, or nothing is sent any more."""
    from rich.live import Live

    started = time.monotonic()
    with Live(console=console(stderr=True), transient=True, auto_refresh=False) as live:
        while sends() and (seconds is None or time.monotonic() - started < seconds):
            left = None if seconds is None else seconds - (time.monotonic() - started)
            live.update(_table(counts, left, messages), refresh=True)
            time.sleep(_REFRESH_S)
        if messages is not None:
            time.sleep(_LINGER_S)


def _table(counts: Mapping[str, Counts], left: float | None, messages: int | None) -> Table:
    from rich import box
    from rich.table import Table

    sent = sum(one.sent for one in counts.values())
    until = (
        f"{sent:,} of {messages:,} messages" if messages else "until Ctrl-C" if left is None else f"{left:.0f} s left"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=until, title_justify="left")
    table.add_column("task")
    for name in asdict(Counts()):
        table.add_column(name, justify="right")
    for task, one in counts.items():
        table.add_row(task, *(f"{n:,}" for n in asdict(one).values()))
    return table
