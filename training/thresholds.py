"""From what a model says of held-out rows to the thresholds that its version is served with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.classifier import Scores
from tasks.declaration import OUT_OF_SCOPE, Task
from training.risk import Answers, Reals, Thresholds, choose_thresholds


def certified(task: Task, path: Reals, labels: Sequence[str], scores: Scores) -> Thresholds:
    """Choose the thresholds along `path` by the `scores` of rows with `labels`, which served for nothing else."""
    names = np.array(task.label_names)[scores.probabilities.argmax(axis=1)]
    wrong = np.asarray(names != np.array(labels, dtype=str), dtype=np.bool_)
    answers = Answers(scores.probabilities.max(axis=1), scores.out_of_scope, wrong)
    outside = sum(label == OUT_OF_SCOPE for label in labels)
    return choose_thresholds(path, answers, outside, task.triage.max_error, task.triage.confidence)
