"""The report of one training run: a single HTML file that a person likes to read, and that stays on this machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.artifact import Manifest
from training.charts import confusion_chart, learning_chart, reliability_chart, trade_off_chart
from training.evaluate import Evaluation
from training.risk import Thresholds
from training.sources import Sources
from training.version import Findings

_MOST_PAIRS = 20
_MOST_FAULTS = 100


@dataclass(frozen=True)
class Pair:
    """Two labels that are confused: `n` of the `total` rows of `label` were answered as `chosen`."""

    label: str
    chosen: str
    n: int
    total: int


def write_report(folder: Path, manifest: Manifest, findings: Findings) -> Path:
    """Write the report of `manifest`'s version into `folder` and return its path.

    It holds the texts of the worst mistakes and so belongs to those who may see the data. Without a gold set the
    figures are those of the calibration rows, and named so.
    """
    labels = [label.name for label in manifest.labels]
    sources, learned, evaluation = findings.sources, findings.learned, findings.evaluation
    page = environment().get_template("report.html.j2")
    content = page.render(
        manifest=manifest,
        sources=sources,
        learned=learned,
        parity=findings.parity,
        evaluation=evaluation,
        seconds=findings.seconds,
        faults=sources.faults[:_MOST_FAULTS],
        reasons=_reasons(sources),
        pairs=confused_pairs(evaluation, labels) if evaluation else [],
        confusion=confusion_chart(evaluation.confusion, labels) if evaluation else None,
        reliability=reliability_chart(learned.calibration.before, learned.calibration.after),
        learning=learning_chart(learned.epochs) if learned.epochs else None,
        division=findings.division,
        thresholds=findings.thresholds,
        trade_off=trade_off(findings.thresholds),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = report_file(folder, manifest)
    path.write_text(content, encoding="utf-8")
    return path


def report_file(folder: Path, manifest: Manifest) -> Path:
    """Return where `write_report` writes."""
    return folder / f"{manifest.task}-{manifest.version}.html"


def trade_off(thresholds: Thresholds) -> Markup | None:
    """Return the picture of share reviewed and error left; None where no row was held out to draw it from."""
    found, risk = thresholds.trade_off, thresholds.risk
    return trade_off_chart(found, risk.max_error, thresholds.trust) if found.answered.any() else None


def confused_pairs(evaluation: Evaluation, labels: list[str]) -> list[Pair]:
    """Return the commonest confusions, by number of rows."""
    pairs = [
        Pair(labels[row], labels[column], n, sum(counts))
        for row, counts in enumerate(evaluation.confusion)
        for column, n in enumerate(counts)
        if n and row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair.n, pair.label, pair.chosen))[:_MOST_PAIRS]


def _reasons(sources: Sources) -> list[tuple[str, int]]:
    """Count the rows that are not used by reason, in words that do not depend on the row."""

    def kind(msg: str) -> str:
        for words in (
            "near-copy of a gold row",
            "copy of a gold row",
            "copy of line",
            "same text labelled",
            "is not one of",
        ):
            if words in msg:
                return {"copy of line": "copy of another row", "is not one of": "unknown label"}.get(words, words)
        return "cannot be read or is not valid"

    return Counter(kind(fault.msg) for fault in sources.faults).most_common()


def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and what is not given is an error."""
    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, figure=_figure, thousands=lambda n: f"{n:,}")
    return environment


def _percent(value: float, digits: int = 1) -> str:
    return "n/a" if value != value else f"{value:.{digits}%}"  # noqa: PLR0124 - NaN


def _figure(value: Any) -> str:
    return "n/a" if value != value else f"{value:.4g}"  # noqa: PLR0124 - NaN
