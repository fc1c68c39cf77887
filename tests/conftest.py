"""What every test shares: a closed environment, and a tiny task trained once for all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock
from hypothesis import settings

TESTS = Path(__file__).parent
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_COLOR": "1",
}
os.environ.update(OFFLINE)
for _name in [name for name in os.environ if name.startswith("REGRADE_")]:
    if _name not in {
        "REGRADE_DATA",
        "REGRADE_TEST_POSTGRES_URL",
        "REGRADE_REQUIRE_TOOLS",
        "REGRADE_REQUIRE_TRACKERS",
    }:
        del os.environ[_name]
os.environ.pop("BENTOML_HOME", None)
settings.register_profile("regrade", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("regrade")
ENVIRONMENT = dict(os.environ)
"""What processes of tests start with, whatever a test in this one has set for libraries since."""


def missing(tool: str) -> NoReturn:
    """Skip a test whose tool is not here, with one line; where all tools must be there, fail."""
    if os.environ.get("REGRADE_REQUIRE_TOOLS"):
        pytest.fail(f"{tool} is missing, and REGRADE_REQUIRE_TOOLS is set")
    pytest.skip(f"{tool} is not here")


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A REGRADE_HOME with the task `tiny-intent` and two versions; built once, shared by all workers, read-only."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    home = shared / "tiny-home"
    with FileLock(shared / "tiny-home.lock"):
        if not (home / "versions.txt").exists():
            command = [sys.executable, "-m", "tests.support.tiny", str(home)]
            made = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-4000:]
    return home


@pytest.fixture(scope="session")
def tiny_versions(tiny_home: Path) -> tuple[str, str]:
    """The two versions of `tiny-intent`: the live one, and another."""
    first, second = (tiny_home / "versions.txt").read_text(encoding="utf-8").split()
    return first, second


@pytest.fixture(scope="session")
def tiny_version(tiny_home: Path, tiny_versions: tuple[str, str]) -> Path:
    """The folder of the first version of `tiny-intent`."""
    return tiny_home / "bentoml" / "models" / "tiny-intent" / tiny_versions[0]
