"""Accuracy and training time on BANKING77, through the commands a user would type: full fine-tuning and `--quick`.

`python -m benchmarks.banking77` takes about half an hour, `--only quick` a few minutes. Works in a home of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, data_folder, keep_result, machine
from service.artifact import FP32
from service.classifier import load_classifier

FLAGS: dict[str, list[str]] = {"full": [], "quick": ["--quick"]}


def regrade(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a `regrade` command with `--json` in `home` and return what it prints."""
    command = [sys.executable, "-m", "regrade", *arguments, "--json"]
    environment = {**os.environ, "REGRADE_HOME": str(home), "BENTOML_HOME": str(home / "bentoml")}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def measure(mode: str, folder: Path) -> dict[str, Any]:
    """Train on the training file, then evaluate the served int8 model on the test file."""
    train, test = str(folder / "train.csv"), str(folder / "test.csv")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work)
        started = time.perf_counter()
        trained = regrade(home, "train", "--data", train, "--task", "b77", *FLAGS[mode])
        minutes = (time.perf_counter() - started) / 60
        found = regrade(home, "evaluate", "b77", "--data", test, "--train", train)
        exact = fp32_accuracy(next((home / "bentoml" / "models" / "b77").glob("*/manifest.json")).parent, folder)
    for printed, path in ((trained, "report"), (found, "data")):
        printed.pop(path, None)  # of this machine
    return {"mode": mode, "minutes": round(minutes, 2), "trained": trained, "test": found, "fp32_accuracy": exact}


def fp32_accuracy(version: Path, folder: Path) -> float:
    """Return the accuracy on the test file of the version's fp32 graph, which is not the one that is served."""
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    classifier = load_classifier(version, file=FP32)
    best = classifier.classify([text for text, _ in rows]).scores.probabilities.argmax(axis=1)
    right = [classifier.label_names[position] == label for position, (_, label) in zip(best, rows, strict=True)]
    return float(sum(right) / len(right))


def main() -> None:
    """Measure, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(FLAGS))
    only: str | None = parser.parse_args().only
    about, folder = machine(), data_folder() / "banking77"
    table = Table(
        "mode",
        "minutes",
        "accuracy",
        "macro-F1",
        "fp32",
        "without near-copies of training rows",
        title="BANKING77 test",
    )
    for mode in [only] if only else sorted(FLAGS):
        result = measure(mode, folder)
        found, fresh = result["test"], result["test"]["without_twins"]
        cells = (
            f"{found['accuracy']:.2%}",
            f"{found['macro_f1']:.2%}",
            f"{result['fp32_accuracy']:.2%}",
            f"{fresh['accuracy']:.2%} of {fresh['n']}",
        )
        table.add_row(mode, f"{result['minutes']:.1f}", *cells)
        keep_result(f"banking77-{mode}", result, about)
    Console().print(table)


if __name__ == "__main__":
    main()
