"""CLINC150 without one out-of-scope row in training: are strangers told, and is the risk promise kept?

`python -m benchmarks.clinc150` trains quickly, in a minute or two; `--full` fine-tunes, which takes half an hour. Works
in a home of its own. Prints the AUROC of the served int8 out-of-scope score on the test part, what the fitted threshold
finds and costs, and, over random splits of validation and test rows with their out-of-scope texts, how often the risk
promise is broken and how much it answers beside an oracle that knows the error.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.banking77 import regrade
from benchmarks.common import data_folder, keep_result, machine
from service.classifier import Classifier, load_classifier
from service.triage import SCOPE_LIMIT
from training.metrics import auroc
from training.risk import Answers, choose_thresholds, declare_path

TASK = "clinc150"
LEVELS = (0.03, 0.05, 0.08)
SPLITS = 500
CONFIDENCE = 0.95
_DECLARING = 750
_SIZES = (400, 4000)

Texts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Promise:
    """Over `splits` random splits, `rows` certifying at `max_error`: shares are of all test texts, means of splits.

    `broken` counts certified splits whose test error was above `max_error`; `of_oracle` is the share answered in parts
    of the oracle's, splits without a certificate counting as nothing answered.
    """

    max_error: float
    rows: int
    splits: int
    certified: int
    broken: int
    error: float
    answered: float
    oracle: float
    of_oracle: float


def answers_to(classifier: Classifier, texts: Texts) -> Answers:
    """Return the served answers to `(text, label)` pairs; an answer to an out-of-scope text is wrong."""
    scores = classifier.classify([text for text, _ in texts]).scores
    names = np.array(classifier.label_names)[scores.probabilities.argmax(axis=1)]
    wrong = names != np.array([label for _, label in texts])
    return Answers(scores.probabilities.max(axis=1), scores.out_of_scope, wrong)


def measure_scope(inside: Answers, outside: Answers, threshold: float) -> dict[str, Any]:
    """Return AUROC, and by threshold the share of strangers found and of the task's own texts refused for it."""
    own, foreign = inside.out_of_scope, outside.out_of_scope
    found = {
        name: {"threshold": at, "recall": float((foreign > at).mean()), "own_refused": float((own > at).mean())}
        for name, at in (("curve", SCOPE_LIMIT), ("in force", threshold))
    }
    return {"auroc": auroc(own, foreign), "accuracy": float(1.0 - inside.wrong.mean()), "thresholds": found}


def take(answers: Answers, places: NDArray[np.int64]) -> Answers:
    """Return the answers at `places`."""
    return Answers(answers.confidence[places], answers.out_of_scope[places], answers.wrong[places])


def measure_promise(pool: Answers, strange: NDArray[np.bool_], max_error: float, rows: int) -> Promise:
    """Declare the path on 750 in-scope rows, certify on `rows` others and test on the rest, again and again."""
    rng = np.random.default_rng(1)
    certified, broken, errors, shares, oracles, ratios = 0, 0, [], [], [], []
    for _ in range(SPLITS):
        declaring = rng.choice(np.flatnonzero(~strange), _DECLARING, replace=False)
        rest = rng.permutation(np.setdiff1d(np.arange(len(pool)), declaring))
        certifying, test = rest[:rows], take(pool, rest[rows:])
        path = declare_path(take(pool, declaring), rows, max_error, CONFIDENCE)
        outside = int(strange[certifying].sum())
        chosen = choose_thresholds(path, take(pool, certifying), outside, max_error, CONFIDENCE)
        oracles.append(oracle_share(test, max_error))
        if not chosen.risk.certified:
            ratios.append(0.0)
            continue
        kept = test.answered(chosen.trust)
        error, share = float(test.wrong[kept].mean()), float(kept.mean())
        certified, broken = certified + 1, broken + (error > max_error)
        errors.append(error)
        shares.append(share)
        ratios.append(share / oracles[-1])
    means = (float(np.mean(values or [0.0])) for values in (errors, shares, oracles, ratios))
    return Promise(max_error, rows, SPLITS, certified, int(broken), *means)


def oracle_share(test: Answers, max_error: float) -> float:
    """Return the largest share of `test` that one trust can answer with a known error of at most `max_error`."""
    trust = np.where(test.out_of_scope <= SCOPE_LIMIT, np.minimum(test.confidence, 1.0 - test.out_of_scope), 0.0)
    order = np.argsort(-trust, kind="stable")[: int((trust > 0).sum())]
    error = np.cumsum(test.wrong[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(error <= max_error)
    return float(good[-1] + 1) / len(test) if len(good) else 0.0


def train(home: Path, train_rows: Texts, *, full: bool) -> Classifier:
    """Train through the command on in-scope rows alone and open what would be served."""
    data = home / f"{TASK}.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *train_rows])
    os.environ["BENTOML_HOME"] = str(home / "bentoml")
    regrade(home, "train", "--data", str(data), "--task", TASK, *([] if full else ["--quick"]))
    return load_classifier(next((home / "bentoml" / "models" / TASK).glob("*/manifest.json")).parent)


def measure(folder: Path, *, full: bool) -> dict[str, Any]:
    """Train, answer every held-out text once, and measure."""
    parts: dict[str, Texts] = json.loads((folder / "data_full.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as work:
        classifier = train(Path(work), parts["train"], full=full)
        test, strangers = answers_to(classifier, parts["test"]), answers_to(classifier, parts["oos_test"])
        own, foreign = [*parts["val"], *parts["test"]], [*parts["oos_val"], *parts["oos_test"]]
        pool = answers_to(classifier, [*own, *foreign])
    manifest = classifier.manifest
    scope = measure_scope(test, strangers, manifest.scope_threshold or 0.0)
    strange = np.arange(len(pool)) >= len(own)
    promises = [measure_promise(pool, strange, level, rows) for level in LEVELS for rows in _SIZES]
    everything = {"rows": len(pool), "out_of_scope": len(foreign), "error_unreviewed": float(pool.wrong.mean())}
    risk = manifest.risk.model_dump() if manifest.risk else None
    return {
        "mode": manifest.method,
        **scope,
        "risk": risk,
        "pool": everything,
        "promises": [asdict(promise) for promise in promises],
    }


def show(found: dict[str, Any]) -> None:
    """Print what was found."""
    console = Console()
    console.print(f"accuracy {found['accuracy']:.2%}; out-of-scope AUROC {found['auroc']:.2%} (int8, as served)")
    for name, at in found["thresholds"].items():
        told = f"threshold {name} ({at['threshold']:.3f}): recall {at['recall']:.1%}"
        console.print(f"{told}, {at['own_refused']:.1%} of the task's own refused")
    pool = found["pool"]
    title = (
        f"risk promise; {pool['error_unreviewed']:.1%} of {pool['rows']:,} texts would be wrong if all were answered"
    )
    table = Table("accepted", "rows", "certified", "broken", "error", "answered", "oracle", "of oracle", title=title)
    for promise in found["promises"]:
        counts = f"{promise['certified']} of {promise['splits']}", str(promise["broken"])
        shares = (f"{promise[name]:.1%}" for name in ("error", "answered", "oracle", "of_oracle"))
        table.add_row(f"{promise['max_error']:.0%}", f"{promise['rows']:,}", *counts, *shares)
    console.print(table)


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="fine-tune instead of fitting a head")
    full: bool = parser.parse_args().full
    about = machine()
    found = measure(data_folder() / "clinc150", full=full)
    show(found)
    keep_result(f"clinc150-{found['mode']}", found, about)


if __name__ == "__main__":
    main()
