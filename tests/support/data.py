"""Public data for tests that need real text; it lies beside a developer's checkout, and nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("REGRADE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def public_file(name: str) -> Path:
    """Return a file of the public data; skip the test where it is not there, because nothing could install it."""
    file = FOLDER / name
    if not file.exists():
        pytest.skip(f"the public data ({name}) is not in {FOLDER}; set REGRADE_DATA")
    return file


def unseen_texts(count: int, name: str = "massive/en-train.jsonl") -> list[str]:
    """Return texts that people said to an assistant, of which the tiny model knows nothing (MASSIVE)."""
    lines = public_file(name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines[:count]]
