"""Options that several commands take."""

from __future__ import annotations

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
