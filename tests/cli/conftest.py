"""The command line as people use it: a process of its own, on a copy of the tiny home."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[2]

Done = subprocess.CompletedProcess[str]


class Regrade(Protocol):
    """Runs `regrade` with arguments, standard input (none by default) and more environment."""

    def __call__(
        self, *arguments: str | Path, given: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> Done: ...


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own, with `tiny-intent` and its two versions, the first of them live."""
    copy = tmp_path / "home"
    shutil.copytree(tiny_home, copy)
    return copy


@pytest.fixture
def regrade(home: Path, tmp_path: Path) -> Regrade:
    def run(*arguments: str | Path, given: bytes = b"", environment: Mapping[str, str] | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "regrade", *map(str, arguments)],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(home), **(environment or {})},
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return Done(done.args, done.returncode, out, err)

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Labelled rows of `tiny-intent`, three of them unusable: lines 5 to 7."""
    path = tmp_path / "rows.csv"
    texts = ["where is my parcel,parcel", "refund my money,refund", "forgot my password,password"]
    bad = [",parcel", "no label,", "a strange one,unheard-of"]
    path.write_text("text,label\n" + "\n".join([*texts, *bad]) + "\n", encoding="utf-8")
    return path
