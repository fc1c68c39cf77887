"""What commands print: data on standard output, everything for the person on standard error."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_FAULTS = 20
"""Bad rows that are listed on the screen; where there are more, all of them go to a file."""

_PIPE_WIDTH = 200
"""Columns that a table may take where no terminal says how wide it is."""


class LineFault(Protocol):
    """Why the row or text at `line` of a file is not used."""

    @property
    def line(self) -> int:
        """Line in the file, from 1."""
        ...

    @property
    def msg(self) -> str:
        """What is wrong with it."""
        ...


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes every text as it is: what users wrote is never read as markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def say(message: str, style: str | None = None) -> None:
    """Tell the person something, on standard error."""
    console(stderr=True).print(message, style=style, soft_wrap=True)


def warn(message: str) -> None:
    """Tell the person what is not as it should be, on standard error."""
    say(f"warning: {message}", "yellow")


def fail(message: str) -> None:
    """Say in one line, on standard error, why the command ends."""
    say(f"error: {' '.join(message.splitlines())}", "red")


def print_json(value: Any) -> None:
    """Print `value` as JSON; moments and paths as text."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print `rows`, which have the same keys, as CSV with a header."""
    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print a table; columns of numbers are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for position, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def report_faults(faults: Sequence[LineFault], source: str, file: Path) -> None:
    """List on standard error the rows of `source` that are not used, by line; all of them in `file` where many are."""
    if not faults:
        return
    warn(f"{source}: {len(faults):,} {'row is' if len(faults) == 1 else 'rows are'} not used:")
    for fault in faults[:SHOWN_FAULTS]:
        say(f"  line {fault.line}: {fault.msg}")
    if len(faults) > SHOWN_FAULTS:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{fault.line}\t{fault.msg}\n" for fault in faults), encoding="utf-8")
        say(f"  and {len(faults) - SHOWN_FAULTS:,} more; all of them are listed in {file}")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs; what it gives is told how many units are done."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda done: bars.update(bar, advance=done)
