"""Runs the raw loop, `raw_loop.py`, in one process a core."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.common import ROOT
from benchmarks.peers.running import Place


@dataclass(frozen=True)
class Raw:
    """Texts a second over all processes, and CPU seconds per 1,000 texts."""

    texts_per_s: float
    server_cpu_s_per_1000: float


class RawLoop:
    """The limit on what any peer can reach."""

    def __init__(self, place: Place, texts: Sequence[str]) -> None:
        """Run the version of `place` over `texts`."""
        self._place = place
        self._file = place.folder / "texts.json"
        self._file.write_text(json.dumps(list(texts)), encoding="utf-8")

    def run(self, size: int, seconds: float) -> Raw:
        """Compute `size` texts at a time for some seconds, all processes beginning together."""
        words = [str(self._place.version), str(self._file), str(size), str(seconds)]
        command = [sys.executable, "-m", "benchmarks.peers.raw_loop", *words]
        processes = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(self._place.cores)
        ]
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("a raw loop did not start")
        done = [json.loads(process.communicate("go\n")[0]) for process in processes]
        texts = sum(one["texts"] for one in done)
        cpu = sum(one["cpu"] for one in done)
        return Raw(sum(one["texts"] / one["seconds"] for one in done), cpu / texts * 1000)
