"""The limit: one process a core, the same tokenizer, batches and graph, no HTTP and no answers. Run by the harness."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.model import Model


def main() -> None:
    """Loop over the texts for some seconds, `size` at a time, and print what was done as JSON."""
    folder, texts_file, size, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    texts: list[str] = json.loads(texts_file.read_text(encoding="utf-8"))
    model = Model(folder)
    for text in texts[:20]:
        _run(model, [text])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all processes begin together
    begun, cpu, done, start = time.perf_counter(), time.process_time(), 0, os.getpid() % len(texts)
    while time.perf_counter() - begun < seconds:
        _run(model, [texts[(start + done + offset) % len(texts)] for offset in range(size)])
        done += size
    elapsed = time.perf_counter() - begun
    print(json.dumps({"texts": done, "seconds": elapsed, "cpu": time.process_time() - cpu}))


def _run(model: Model, texts: Sequence[str]) -> None:
    for _ in model.logits(texts):
        pass


if __name__ == "__main__":
    main()
