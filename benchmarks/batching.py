"""What a text costs by batch size and length: why batches are small, and why nobody waits for them to fill.

`python -m benchmarks.batching` takes about a minute. Rounds are interleaved; the fastest of each is kept, because
neighbours only ever make a run slower.
"""

from __future__ import annotations

import os
import time
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, keep_result, machine
from benchmarks.versions import live_folder
from core.settings import load_settings
from service.artifact import SCOPE
from service.runner import OrtRunner
from service.scope import load_scope

TASK = "support-intent"
TOKENS = (8, 16, 32, 64, 128)
TEXTS = (1, 2, 4, 8, 16, 32)
ROUNDS = 25


def scope_share(folder: Path, runner: OrtRunner) -> float:
    """Return what scoring out of scope costs, as a share of the graph's time on one text of 16 tokens."""
    scope, ids = load_scope(folder / SCOPE), np.full((1, 16), 2000)
    logits, embeddings = runner.run(ids, np.ones_like(ids))
    spent = {"graph": float("inf"), "scope": float("inf")}
    for _ in range(ROUNDS * 10):
        started = time.perf_counter()
        runner.run(ids, np.ones_like(ids))
        between = time.perf_counter()
        scope.scores(embeddings, logits)
        spent["graph"] = min(spent["graph"], between - started)
        spent["scope"] = min(spent["scope"], time.perf_counter() - between)
    return spent["scope"] / spent["graph"]


def main() -> None:
    """Measure, print, and keep the result."""
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    folder = live_folder(settings, TASK)
    runner = OrtRunner(folder)
    random = np.random.default_rng(1)
    best = dict.fromkeys(product(TOKENS, TEXTS), float("inf"))
    for _, (tokens, texts) in product(range(ROUNDS), best):
        ids = random.integers(1000, 20000, (texts, tokens))
        started = time.perf_counter()
        runner.run(ids, np.ones_like(ids))
        best[tokens, texts] = min(best[tokens, texts], (time.perf_counter() - started) / texts)
    table = Table("tokens a text", *(f"{texts} texts" for texts in TEXTS), title="Microseconds a text, by batch size")
    for tokens in TOKENS:
        table.add_row(str(tokens), *(f"{best[tokens, texts] * 1e6:,.0f}" for texts in TEXTS))
    Console().print(table)
    share = scope_share(folder, runner)
    print(f"the out-of-scope score takes {share:.1%} of the time of a text of 16 tokens")
    rows = [{"tokens": tokens, "texts": texts, "seconds_a_text": cost} for (tokens, texts), cost in best.items()]
    path = keep_result("batching", {"best": rows, "scope_share": share}, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
