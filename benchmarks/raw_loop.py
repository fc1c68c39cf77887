"""The limit: one process a core, the same tokenizer, texts and graph, no HTTP. Run by `serving.py`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from service.artifact import TOKENIZER, read_manifest
from service.batching import plan_batches
from service.encoding import load_encoder
from service.runner import OrtRunner


def main() -> None:
    """Loop over the texts for some seconds, `size` at a time, and print what was done as JSON."""
    folder, texts_file, size, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    texts: list[str] = json.loads(texts_file.read_text(encoding="utf-8"))
    encoder = load_encoder(folder / TOKENIZER, read_manifest(folder).max_length)
    runner = OrtRunner(folder)
    for text in texts[:20]:
        runner.run(*encoder.pad([encoder.encode(text)]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # all processes begin together
    begun, cpu, done, start = time.perf_counter(), time.process_time(), 0, os.getpid() % len(texts)
    while time.perf_counter() - begun < seconds:
        chunk = [texts[(start + done + offset) % len(texts)] for offset in range(size)]
        encodings = [encoder.encode(text) for text in chunk]
        for batch in plan_batches([len(encoding.ids) for encoding in encodings], budget=512):
            runner.run(*encoder.pad([encodings[position] for position in batch]))
        done += size
    elapsed = time.perf_counter() - begun
    print(json.dumps({"texts": done, "seconds": elapsed, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
