"""Judge a classifier on labelled rows: the very class that answers requests, so that what is measured is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from service.classifier import Classifier
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
    names = {name: position for position, name in enumerate(classifier.label_names)}
    own = [row for row in rows if row.label in names]
    foreign = [row for row in rows if row.label == OUT_OF_SCOPE]
    if not own:
        raise DataError(
            f"none of {len(rows)} rows has a label of {classifier.manifest.task}; its labels are: {', '.join(names)}"
        )
    started = time.perf_counter()
    answered = classifier.classify([row.text for row in [*own, *foreign]], progress=progress)
    seconds = time.perf_counter() - started
    probabilities = answered.scores.probabilities[: len(own)]
    targets = np.array([names[str(row.label)] for row in own], dtype=np.int64)
    right = probabilities.argmax(axis=1) == targets
    return _figures(
        probabilities,
        targets,
        classifier.label_names,
        out_of_scope=_scope_figures(answered.scores.out_of_scope, len(own)) if foreign else None,
        without_twins=None if train_texts is None else _without_twins(classifier, own, right, train_texts),
        unknown=len(rows) - len(own) - len(foreign),
        truncated=sum(answered.truncated),
        seconds=seconds,
        mistakes=_mistakes(own, probabilities, targets, classifier.label_names),
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
    classifier: Classifier, rows: Sequence[Row], right: NDArray[np.bool_], train_texts: Sequence[str]
) -> Slice:
    texts = [classifier.redact(row.text) for row in rows]
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
