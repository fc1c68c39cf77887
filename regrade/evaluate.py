"""`regrade evaluate`: how good the served model is on labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import open_classifier
from regrade.options import AsJson, LabelColumn, TaskName, TextColumn
from regrade.output import print_json, print_table, progress, report_faults

if TYPE_CHECKING:
    from core.settings import Settings
    from service.classifier import Classifier
    from training.evaluate import Evaluation
    from training.rows import RowFile

EPILOG = (
    "Example: `regrade evaluate support-intent --data test.csv --train train.csv --json`.\n\n"
    "Exit codes: 0 done, 1 it failed, 2 wrong usage or setting. Rows that cannot be used are listed by line."
)


def evaluate(
    task: TaskName,
    data: Annotated[Path, typer.Option("--data", help="CSV, JSONL or parquet file of labelled texts.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    version: Annotated[str | None, typer.Option("--version", help="Another version than the live one.")] = None,
    train: Annotated[
        Path | None, typer.Option("--train", help="Training rows: also score only the rows without a near-twin there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the live model of TASK on labelled rows, through the very classifier that serves.

    Prints accuracy, macro-F1, every label's precision, recall and F1, and the calibration error (ECE).
    """
    settings = prepare()
    from training.evaluate import evaluate as measure
    from training.rows import read_rows

    classifier = open_classifier(settings, task, version)
    rows = _read(settings, classifier, data, text_column, label_column)
    known = None if train is None else [row.text for row in read_rows(train, text_column, labelled=False).rows]
    with progress(f"evaluating {task}", len(rows.rows)) as advance:
        found = measure(classifier, rows.rows, known, advance)
    if as_json:
        told = {"task": task, "version": classifier.manifest.version, "data": str(data)}
        print_json(told | found.figures() | {"rows_not_used": len(rows.faults)})
        return
    _print(found, f"{task} {classifier.manifest.version} on {data}")


def _read(settings: Settings, classifier: Classifier, data: Path, text: str | None, label: str | None) -> RowFile:
    """Read `data`; rows that cannot be scored are listed and left out, also those of labels the model does not have."""
    from core.errors import DataError
    from tasks.declaration import OUT_OF_SCOPE
    from training.rows import RowFault, RowFile, read_rows

    file = read_rows(data, text, label)
    known = {*classifier.label_names, OUT_OF_SCOPE}
    strange = [
        RowFault(row.line, f"label {row.label!r} is not one of the model's")
        for row in file.rows
        if row.label not in known
    ]
    faults = sorted([*file.faults, *strange], key=lambda fault: fault.line)
    task = classifier.manifest.task
    report_faults(faults, str(data), settings.reports / f"{task}-{data.stem}-rows.txt")
    rows = [row for row in file.rows if row.label in known]
    if not rows:
        names = ", ".join(classifier.label_names)
        raise DataError(f"{data} has no row that {task} can be scored on; expected labels among: {names}")
    return RowFile(rows, faults, file.columns)


def _print(found: Evaluation, title: str) -> None:
    low, high = found.interval
    headlines: list[tuple[str, Any]] = [
        ("accuracy", f"{found.accuracy:.2%}  (95 % interval {low:.2%} to {high:.2%})"),
        ("macro-F1", found.macro_f1),
        ("weighted F1", found.weighted_f1),
        ("ECE", found.ece),
        ("rows", f"{found.n:,}"),
    ]
    if found.without_twins is not None:
        rest = found.without_twins
        told = f"{rest.accuracy:.2%} of {rest.n:,} rows" if rest.n else "no row is without one"
        headlines.append(("accuracy without near-twins", told))
    if found.out_of_scope is not None:
        scope = found.out_of_scope
        told = f"AUROC {scope.auroc:.4f}; {scope.share_found:.1%} of {scope.n:,} found"
        headlines.append(("out of scope", f"{told}, {scope.share_of_own_suspected:.1%} of the task's own suspected"))
    headlines.append(("speed", f"{found.n / max(found.seconds, 1e-9):,.0f} texts a second in this process"))
    print_table(("", ""), headlines, title=title)
    labels = [(name, label.precision, label.recall, label.f1, label.support) for name, label in found.labels.items()]
    print_table(("label", "precision", "recall", "F1", "rows"), sorted(labels, key=lambda label: label[3]))
