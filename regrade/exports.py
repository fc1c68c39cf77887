"""`regrade export`: answers and resolutions as a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from regrade.environment import prepare
from regrade.operator import opened_store, operator
from regrade.options import TaskName, moment
from regrade.output import progress, say

if TYPE_CHECKING:
    from feedback.exports import Export
    from feedback.store import Store

EPILOG = (
    "Examples: `regrade export support-intent --out resolved.csv`, "
    "`regrade export support-intent --what answers --format jsonl --out -`, "
    "`regrade export support-intent --format datasets --since 30d --out support-intent-data`."
)


class What(StrEnum):
    """What is exported."""

    RESOLUTIONS = "resolutions"
    ANSWERS = "answers"


class Form(StrEnum):
    """Forms of files."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    LABEL_STUDIO = "label-studio"
    DATASETS = "datasets"


_WRITTEN: dict[Form, Literal["csv", "jsonl", "label-studio"]] = {
    Form.CSV: "csv",
    Form.JSONL: "jsonl",
    Form.LABEL_STUDIO: "label-studio",
}
"""What `feedback.formats` calls the forms that it writes."""

_BY_SUFFIX = {".csv": Form.CSV, ".jsonl": Form.JSONL, ".parquet": Form.PARQUET, ".json": Form.LABEL_STUDIO}


def export_file(
    task: TaskName,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write; a folder for `datasets`; `-`: standard output.")
    ],
    what: Annotated[What, typer.Option("--what", help="Final labels, or what each person said.")] = What.RESOLUTIONS,
    form: Annotated[Form | None, typer.Option("--format", help="Default: by the ending of --out.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only since then: `12h`, `30d` ago, or a date and time.")
    ] = None,
) -> None:
    """Write what people said of TASK's texts into a file, which `regrade import` can put back.

    Texts are personal data: who exported how many rows stands in the audit log. In CSV, cells that a spreadsheet would
    run as formulas begin with an apostrophe.
    """
    form = form or _BY_SUFFIX.get(out.suffix.lower())
    if form is None:
        raise typer.BadParameter(f"{out} does not say the format; add --format", param_hint="--out")
    if str(out) == "-" and form in {Form.PARQUET, Form.DATASETS}:
        raise typer.BadParameter(f"{form} needs a path", param_hint="--out")
    settings = prepare()
    from feedback.exports import Export
    from tasks.catalogue import find_task

    export = Export(find_task(settings, task).task, what.value, moment(since) if since else None)
    with opened_store(settings) as store:
        rows = _write(store, export, form, out)
    say(f"exported {rows:,} {what.value} of {task}" + ("" if str(out) == "-" else f" to {out}"))


def _write(store: Store, export: Export, form: Form, out: Path) -> int:
    """Write the file and return how many rows it has."""
    from feedback.exports import begin_export, export_pages
    from feedback.formats import rows_of, written

    source = rows_of(export, form.value)
    rows = begin_export(store, operator(), source, form.value)
    with progress("exporting", rows) as advance:
        pages = _watched(export_pages(store, source), advance)
        if form is Form.PARQUET:
            from training.tables import write_parquet

            write_parquet(out, export.what, pages)
        elif form is Form.DATASETS:
            from training.tables import write_dataset

            write_dataset(out, export, pages)
        else:
            _write_bytes(out, written(_WRITTEN[form], export.what, pages))
    return rows


def _write_bytes(out: Path, pieces: Iterator[bytes]) -> None:
    from core.errors import DataError

    if str(out) == "-":
        sys.stdout.buffer.writelines(pieces)
        return
    try:
        with out.open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}; give another --out") from error


def _watched(pages: Iterator[list[dict[str, Any]]], advance: Callable[[int], None]) -> Iterator[list[dict[str, Any]]]:
    for page in pages:
        yield page
        advance(len(page))
