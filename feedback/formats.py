"""The forms in which rows leave and come back: CSV that is safe in a spreadsheet, JSON lines, Label Studio's JSON.

Label Studio's form is that of its documentation ("Label Studio JSON format of annotated tasks"), for a project with
`<Text name="text" value="$text"/>` and `<Choices name="label" toName="text">`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, get_args

import orjson

from core.errors import DataError
from feedback.exports import COLUMNS, Export, Kind, What, export_pages
from feedback.facts import OUTSIDE
from feedback.store import Store

Form = Literal["csv", "jsonl", "label-studio"]
FORMS: tuple[Form, ...] = get_args(Form)

Line = Mapping[str, Any]

MEDIA_TYPES: Mapping[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "label-studio": "application/json",
}

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet would run as a formula, full-width forms included, and what `escaped` made of such a cell."""


def rows_of(export: Export, form: str) -> Export:
    """Return what is to be read for `export` in `form`: Label Studio has one task an item, whatever is exported."""
    return replace(export, what="resolutions") if form == "label-studio" else export


def export_file(store: Store, export: Export, form: Form) -> Iterator[bytes]:
    """Yield what is to be exported as the bytes of a file, a piece at a time.

    Raises:
        UnavailableError: the store is away.
    """
    return written(form, export.what, export_pages(store, rows_of(export, form)))


def written(form: Form, what: What, pages: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    """Yield `pages` of rows of `what` as the bytes of a file, a piece at a time."""
    writers: dict[Form, Callable[[What, Iterable[Sequence[Line]]], Iterator[bytes]]] = {
        "csv": _as_csv,
        "jsonl": _as_json_lines,
        "label-studio": _as_label_studio,
    }
    return writers[form](what, pages)


def escaped(cell: str) -> str:
    """Return `cell` with an apostrophe before what a spreadsheet would take for a formula; `unescaped` undoes it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescaped(cell: str) -> str:
    """Return what `escaped` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_csv(lines: Iterable[str], what: What) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the rows that `written` made as CSV, with their first lines from 1, or what is wrong with one.

    `lines` keep their ends as they are in the file (opened with `newline=""`).

    Raises:
        DataError: the header lacks a column.
    """
    csv.field_size_limit(16 * 1024 * 1024)
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise DataError(f"the header cannot be read as CSV: {error}") from error
    _check_columns([name.removeprefix("\ufeff") for name in header], what)
    header[0] = header[0].removeprefix("\ufeff")
    line = reader.line_num + 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield line, f"cannot be read as CSV: {error}; check its quotes"
            return
        if cells is None:
            return
        if cells:
            yield line, _read_cells(dict(zip(header, cells, strict=False)), what)
        line = reader.line_num + 1


def read_json_lines(lines: Iterable[str], what: What) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the rows that `written` made as JSON lines, with their lines from 1, or what is wrong with one."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield number, f"is not JSON: {error}"
            continue
        missing = COLUMNS[what].keys() - (record.keys() if isinstance(record, dict) else set())
        yield number, f"lacks {', '.join(sorted(missing))}" if missing else _read_moments(record, what)


def _check_columns(header: Sequence[str], what: What) -> None:
    missing = [name for name in COLUMNS[what] if name not in header]
    if missing:
        raise DataError(f"the file lacks the columns {', '.join(missing)}; expected what `regrade export` wrote")


def _as_csv(what: What, pages: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    columns = COLUMNS[what]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for page in pages:
        writer.writerows([_cell(line[name], kind) for name, kind in columns.items()] for line in page)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    if rest := buffer.getvalue():
        yield rest.encode()


def _cell(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    if kind == "text":
        return escaped(value)
    if kind in {"words", "json"}:
        return orjson.dumps(value).decode()
    if kind == "flag":
        return "true" if value else "false"
    return str(value.isoformat() if kind == "moment" else value)


def _read_cells(cells: Mapping[str, str], what: What) -> dict[str, Any] | str:
    line = {}
    for name, kind in COLUMNS[what].items():
        if name not in cells:
            return f"has no cell for {name}; quote texts that hold a comma"
        try:
            line[name] = _value(cells[name], kind)
        except ValueError:
            return f"{name} is {cells[name][:60]!r}, which is no {kind}"
    return line


def _value(cell: str, kind: Kind) -> Any:
    if not cell:
        return None
    if kind == "flag":
        return {"true": True, "false": False}[cell.lower()] if cell.lower() in {"true", "false"} else _refuse(cell)
    readers: dict[Kind, Callable[[str], Any]] = {
        "text": unescaped,
        "words": orjson.loads,
        "json": orjson.loads,
        "whole": int,
        "share": float,
        "moment": datetime.fromisoformat,
    }
    return readers[kind](cell)


def _refuse(cell: str) -> Any:
    raise ValueError(cell)


def _as_json_lines(_: What, pages: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    for page in pages:
        yield b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in page)


def _read_moments(record: dict[str, Any], what: What) -> dict[str, Any] | str:
    line = {name: record[name] for name in COLUMNS[what]}
    for name, kind in COLUMNS[what].items():
        if kind == "moment" and line[name] is not None:
            try:
                line[name] = datetime.fromisoformat(line[name])
            except (ValueError, TypeError):
                return f"{name} is {line[name]!r}; expected a date and time"
    return line


def _as_label_studio(what: What, pages: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    """Yield one JSON array of resolved items: with `answers` each answer is an annotation, else the resolution is."""
    before = b"[\n"
    for page in pages:
        pieces = []
        for line in page:
            pieces += [before, orjson.dumps(_labelling_task(line, what))]
            before = b",\n"
        yield b"".join(pieces)
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _labelling_task(line: Line, what: What) -> dict[str, Any]:
    about = ("item_id", "text", "language", "reason", "method", "annotators", "revision")
    final = {"answer_id": line["resolution_id"], "created_at": line["resolved_at"].isoformat(), "seconds": None}
    said = line["answers"] if what == "answers" else [final | {name: line[name] for name in ("label", "labels")}]
    predictions = []
    if line["model_label"] is not None:
        score = line["model_confidence"]
        predicted = {"label": line["model_label"], "labels": None}
        result = [_choice(str(line["prediction_id"]), predicted)]
        predictions.append({"model_version": line["model_version"], "score": score, "result": result})
    return {
        "data": {name: line[name] for name in about},
        "annotations": [_annotation(one, ground_truth=what == "resolutions") for one in said],
        "predictions": predictions,
    }


def _annotation(said: Line, *, ground_truth: bool) -> dict[str, Any]:
    about = {"created_at": said["created_at"], "lead_time": said["seconds"]}
    return {
        "result": [_choice(said["answer_id"], said)],
        "was_cancelled": False,
        "ground_truth": ground_truth,
        **about,
    }


def _choice(identifier: str, said: Line) -> dict[str, Any]:
    chosen = said["labels"] if said["labels"] is not None else [said["label"] or OUTSIDE]
    form = {"from_name": "label", "to_name": "text", "type": "choices"}
    return {"id": identifier, **form, "value": {"choices": chosen}}
