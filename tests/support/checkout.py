"""The files of this checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def listed_files() -> list[Path]:
    """Return the files that git tracks, and those it does not know yet and does not ignore, from the root on."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = (Path(name) for name in listed.split("\0") if name)
    return [name for name in names if (ROOT / name).is_file()]  # one may be deleted and not committed yet
