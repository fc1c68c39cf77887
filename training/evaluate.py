"""Judge a classifier on labelled rows: the very class that answers requests, so that what is measured is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from service.classifier import Classified, Classifier
from service.runner import Floats
from tasks.declaration import OUT_OF_SCOPE
from training import metrics
from training.metrics import Averages, Bin, LabelScore
from training.near import near_twins
from training.rows import Row

_MOST_MISTAKES = 40


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer, with its text: for the local report only."""

    text: str
    label: str
    chosen: str
    confidence: float
    line: int


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """How well the out-of-scope score tells `n` foreign texts from the task's own; shares are of scores above 0.5."""

    n: int
    auroc: float
    share_found: float
    share_of_own_suspected: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Accuracy (0 to 1) on a part of the rows."""

    n: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """Figures on `n` rows of the task's labels, 0 to 1 each; NaN where there are no rows to measure on.

    `confusion` is `(n_labels, n_labels)` as lists, a row for each true label. `interval` is the accuracy's 95 %
    bootstrap interval. `without_twins` is None where no training texts were given, `out_of_scope` where there are no
    such rows. `unknown` counts rows whose label the model does not have: they are not scored.
    """

    n: int
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    weighted_f1: float
    ece: float
    averages: dict[str, Averages]
    labels: dict[str, LabelScore]
    confusion: list[list[int]]
    reliability: list[Bin]
    out_of_scope: OutOfScope | None
    without_twins: Slice | None
    unknown: int
    truncated: int
    seconds: float
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def headline(self) -> dict[str, float]:
        """The few figures that a version's manifest repeats."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1, "ece": self.ece}

    def figures(self) -> dict[str, Any]:
        """Return everything but the texts of mistakes, ready for JSON: NaN becomes None."""
        everything = asdict(self)
        del everything["mistakes"]
        found: dict[str, Any] = without_nan(everything)
        return found


def evaluate(
    classifier: Classifier,
    rows: Sequence[Row],
    train_texts: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Classify `rows` and compare; `progress` is told the number of texts of each batch done.

    Rows labelled `out_of_scope` are measured apart. With `train_texts` (redacted or not), accuracy is also given on
    the rows that have no near-copy among them.

    Raises:
        DataError: no row has a label that the model knows.
    """
    known = rows_known(rows, classifier.label_names, classifier.manifest.task)
    started = time.perf_counter()
    answered = classifier.classify([row.text for row in known], progress=progress)
    seconds = time.perf_counter() - started
    found = compare(known, answered, classifier.label_names, seconds)
    unknown = len(rows) - len(known)
    if train_texts is None:
        return replace(found, unknown=unknown)
    return replace(found, unknown=unknown, without_twins=_without_twins(classifier, known, answered, train_texts))


def rows_known(rows: Sequence[Row], labels: Sequence[str], task: str) -> list[Row]:
    """Return the rows of `labels`, and then those of none.

    Raises:
        DataError: no row has one of the labels.
    """
    own = [row for row in rows if row.label in set(labels)]
    if not own:
        raise DataError(f"none of {len(rows)} rows has a label of {task}; its labels are: {', '.join(labels)}")
    return own + [row for row in rows if row.label == OUT_OF_SCOPE]


def compare(rows: Sequence[Row], answered: Classified, labels: Sequence[str], seconds: float) -> Evaluation:
    """Compare what was `answered` in `seconds` with the labels of `rows`, which are as `rows_known` returns them."""
    names = {name: position for position, name in enumerate(labels)}
    own = [row for row in rows if row.label in names]
    scores = answered.scores
    probabilities = scores.probabilities[: len(own)]
    targets = np.array([names[str(row.label)] for row in own], dtype=np.int64)
    return _figures(
        probabilities,
        targets,
        labels,
        out_of_scope=_scope_figures(scores.out_of_scope, len(own)) if len(rows) > len(own) else None,
        without_twins=None,
        unknown=0,
        truncated=sum(answered.truncated),
        seconds=seconds,
        mistakes=_mistakes(own, probabilities, targets, labels),
    )


def _figures(probabilities: Floats, targets: NDArray[np.int64], labels: Sequence[str], **others: Any) -> Evaluation:
    confusion = metrics.confusion_matrix(targets, probabilities.argmax(axis=1), len(labels))
    averages = metrics.averages(confusion)
    return Evaluation(
        n=len(targets),
        accuracy=metrics.accuracy(confusion),
        interval=metrics.bootstrap_interval(probabilities.argmax(axis=1) == targets),
        macro_f1=averages["macro"].f1,
        weighted_f1=averages["weighted"].f1,
        ece=metrics.expected_calibration_error(probabilities, targets),
        averages=averages,
        labels=dict(zip(labels, metrics.label_scores(confusion), strict=True)),
        confusion=confusion.tolist(),
        reliability=metrics.reliability(probabilities, targets),
        **others,
    )


def _scope_figures(scores: Floats, n_own: int) -> OutOfScope:
    own, foreign = scores[:n_own], scores[n_own:]
    return OutOfScope(
        n=len(foreign),
        auroc=metrics.auroc(own, foreign),
        share_found=float((foreign > 0.5).mean()),
        share_of_own_suspected=float((own > 0.5).mean()),
    )


def _without_twins(
    classifier: Classifier, rows: Sequence[Row], answered: Classified, train_texts: Sequence[str]
) -> Slice:
    own = [row for row in rows if row.label != OUT_OF_SCOPE]
    chosen = answered.scores.probabilities[: len(own)].argmax(axis=1)
    right = np.array([classifier.label_names[at] == row.label for at, row in zip(chosen, own, strict=True)])
    texts = [classifier.redact(row.text) for row in own]
    fresh = ~near_twins(texts, [classifier.redact(text) for text in train_texts])
    return Slice(int(fresh.sum()), float(right[fresh].mean()) if fresh.any() else float("nan"))


def _mistakes(
    rows: Sequence[Row], probabilities: Floats, targets: NDArray[np.int64], labels: Sequence[str]
) -> list[Mistake]:
    """Return the wrong answers given with the most confidence, worst first."""
    chosen, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = [int(at) for at in np.argsort(-confidence, kind="stable") if chosen[at] != targets[at]][:_MOST_MISTAKES]
    return [
        Mistake(rows[at].text, labels[targets[at]], labels[chosen[at]], float(confidence[at]), rows[at].line)
        for at in wrong
    ]


def without_nan(value: Any) -> Any:
    """Return `value` with every NaN, at any depth, replaced by None: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124
