"""Options that several commands take."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", help="Column that holds the texts; default: guessed from its name.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column that holds the labels; default: guessed from its name.")
]

_AGO = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> datetime:
    """Return the moment that `--since` names: so long ago, or a date and time (local where no zone is given)."""
    ago = _AGO.fullmatch(text)
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no moment; expected 30m, 12h, 2d or 2026-01-31T08:00", param_hint="--since"
        ) from None
    return named if named.tzinfo else named.astimezone()
