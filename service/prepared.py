"""What a GPU host prepares once from a version and keeps: its fp16 graph, and the engines that TensorRT builds.

They can be made again from the model store at any time, so that deleting the folder does no harm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import ModelError

HALF = "model.fp16.onnx"

_KEPT_S = 30 * 24 * 3600.0
"""Seconds after its last use for which something prepared is kept."""

_LIMIT_S = 600.0
"""Seconds that making an fp16 graph may take; it takes seconds."""

_PROJECT = Path(__file__).resolve().parent.parent


def place_of(cache: Path, runner: str, digest: str) -> Path:
    """Return the folder in `cache`, made if need be, for the graph with SHA-256 `digest` on a runner.

    It counts as used now; others that were not used for 30 days are deleted.
    """
    place = cache / runner / digest[:32]
    place.mkdir(parents=True, exist_ok=True)
    os.utime(place)
    for other in place.parent.iterdir():
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > _KEPT_S:
                shutil.rmtree(other)
    return place


def half_graph(graph: Path, place: Path) -> Path:
    """Return the fp16 form of an fp32 graph, kept in the folder `place`.

    A process of its own makes it; several at once do no harm.

    Raises:
        ModelError: it has none, or it could not be made.
    """
    target = place / HALF
    if target.exists():
        return target
    with TemporaryDirectory(dir=place, prefix="making-") as scratch:
        made = Path(scratch) / HALF
        command = [sys.executable, "-P", "-m", "service.half", str(graph), str(made)]
        environment = os.environ | {"PYTHONPATH": str(_PROJECT)}
        try:
            done = subprocess.run(  # noqa: S603 - fixed words and our own paths
                command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError(f"no fp16 graph could be made of {graph}: {error}") from error
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise ModelError(f"no fp16 graph could be made of {graph}: {said}")
        made.replace(target)
    return target
