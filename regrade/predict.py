"""`regrade predict`: the live model's answer to texts, without a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regrade.environment import prepare
from regrade.live import open_classifier
from regrade.options import TaskName, TextColumn
from regrade.output import print_csv, print_json, print_table, progress, report_faults, say
from regrade.texts import Texts, check_texts, read_lines, read_table

if TYPE_CHECKING:
    from service.classifier import Classifier

EPILOG = (
    'Examples: `regrade predict support-intent "where is my parcel?"`, '
    "`regrade predict support-intent --file messages.csv --format csv`, "
    "`cat messages.txt | regrade predict support-intent --format json`.\n\n"
    "Exit codes: 0 every text judged, 1 some were not (listed by line) or it failed, 2 wrong usage or setting."
)

_BAR_FROM = 200
"""Texts from which it takes long enough for a progress bar."""


class Format(StrEnum):
    """How predictions are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def predict(
    task: TaskName,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; `-` or none: one a line on standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="CSV, JSONL or parquet; any other kind is one text a line.")
    ] = None,
    text_column: TextColumn = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Labels to show for each text, best first.")] = 3,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    version: Annotated[str | None, typer.Option("--version", help="Another version than the live one.")] = None,
) -> None:
    """Classify texts with the live model of TASK, in this process: no server is needed."""
    if texts and file:
        raise typer.BadParameter("give texts or --file, not both", param_hint="TEXT")
    settings = prepare()
    classifier = open_classifier(settings, task, version)
    given, source = _read(texts, file, text_column)
    report_faults(given.faults, source, settings.reports / f"{task}-texts.txt")
    found = _classify(classifier, given, top_k)
    if output is Format.JSON:
        print_json({"task": task, "model_version": classifier.manifest.version, "predictions": found})
    elif output is Format.CSV:
        print_csv([_flat(prediction) for prediction in found])
    elif found:
        print_table(("line", "label", "confidence", "out of scope", "text"), [_row(prediction) for prediction in found])
    if given.faults or not found:
        raise typer.Exit(1)


def _read(texts: list[str] | None, file: Path | None, text_column: str | None) -> tuple[Texts, str]:
    """Return the texts to judge and the name of where they came from."""
    if file is not None:
        return read_table(file, text_column), str(file)
    if texts and texts != ["-"]:
        return check_texts(enumerate(texts, start=1)), "arguments"
    if sys.stdin.isatty():
        say("reading one text a line; end with Ctrl-D")
    return read_lines(sys.stdin.buffer.read()), "standard input"


def _classify(classifier: Classifier, given: Texts, top_k: int) -> list[dict[str, Any]]:
    texts = [text for _, text in given.usable]
    if len(texts) < _BAR_FROM:
        found = classifier.classify(texts)
    else:
        with progress("classifying", len(texts)) as advance:
            found = classifier.classify(texts, progress=advance)
    predictions = []
    for position, (line, text) in enumerate(given.usable):
        scores = _best(classifier.label_names, found.scores.probabilities[position].tolist(), top_k)
        predictions.append(
            {
                "line": line,
                "text": text,
                "label": scores[0]["label"],
                "confidence": scores[0]["score"],
                "scores": scores,
                "out_of_scope": round(float(found.scores.out_of_scope[position]), 6),
                "truncated": found.truncated[position],
            }
        )
    return predictions


def _best(names: Sequence[str], probabilities: Sequence[float], top_k: int) -> list[dict[str, Any]]:
    order = sorted(range(len(names)), key=lambda index: -probabilities[index])[:top_k]
    return [{"label": names[index], "score": round(probabilities[index], 6)} for index in order]


def _flat(prediction: dict[str, Any]) -> dict[str, Any]:
    """Return a prediction as one CSV row; `scores` becomes `label=score` pairs."""
    pairs = " ".join(f"{score['label']}={score['score']}" for score in prediction["scores"])
    return prediction | {"scores": pairs, "truncated": str(prediction["truncated"]).lower()}


def _row(prediction: dict[str, Any]) -> tuple[Any, ...]:
    text = " ".join(prediction["text"].split())
    shown = text if len(text) <= 80 else text[:79] + "…"
    others = "".join(f"\n{score['label']} {score['score']:.2f}" for score in prediction["scores"][1:])
    return (
        prediction["line"],
        prediction["label"] + others,
        f"{prediction['confidence']:.2f}",
        f"{prediction['out_of_scope']:.2f}",
        shown,
    )
