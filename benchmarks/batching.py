"""What a text costs by batch size and length: why batches are small, and why nobody waits for them to fill.

`python -m benchmarks.batching` takes about a minute. Rounds are interleaved; the fastest of each is kept, because
neighbours only ever make a run slower.
"""

from __future__ import annotations

import os
import time
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, keep_result, machine
from benchmarks.versions import live_folder
from core.settings import load_settings
from service.runner import OrtRunner

TASK = "support-intent"
TOKENS = (8, 16, 32, 64, 128)
TEXTS = (1, 2, 4, 8, 16, 32)
ROUNDS = 25


def main() -> None:
    """Measure, print, and keep the result."""
    about, settings = machine(), load_settings()
    os.environ.setdefault("BENTOML_HOME", str(settings.bentoml_home))
    runner = OrtRunner(live_folder(settings, TASK))
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
    rows = [{"tokens": tokens, "texts": texts, "seconds_a_text": cost} for (tokens, texts), cost in best.items()]
    path = keep_result("batching", {"best": rows}, about)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
