"""A Bento carries everything: built here, taken in and served from empty folders elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Regrade
from tests.support.server import end_process, free_port, is_ready, wait_until

pytestmark = pytest.mark.slow


def test_a_bento_answers_from_an_empty_home(
    regrade: Regrade, tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path
) -> None:
    del tiny_home  # named so that its fixture runs before the time of this test is counted
    file = tmp_path / "regrade.bento"
    built = regrade("bento", "--out", file, "--json", environment={"REGRADE_TASKS": "tiny-intent"})
    assert built.returncode == 0, built.stderr
    with tarfile.open(file) as packed:
        names = packed.getnames()
    assert any(name.endswith("service/app.py") for name in names)
    assert any(name.endswith("tasks/tiny-intent/task.toml") for name in names)
    assert not [name for name in names if "/training/" in name or "/regrade/" in name or name.endswith(".csv")]

    elsewhere, port = tmp_path / "elsewhere", free_port()
    elsewhere.mkdir()
    keep = ("PATH", "HOME", "LANG", "BENTOML_DO_NOT_TRACK")
    environment = {name: os.environ[name] for name in keep if name in os.environ} | {
        "BENTOML_HOME": str(elsewhere / "bentoml"),
        "REGRADE_HOME": str(elsewhere / "home"),
        "REGRADE_PORT": str(port),
        "REGRADE_WORKERS": "1",
    }
    bentoml = [sys.executable, "-P", "-m", "bentoml"]
    subprocess.run([*bentoml, "import", str(file)], cwd=elsewhere, env=environment, check=True, capture_output=True)
    url, log = f"http://127.0.0.1:{port}", elsewhere / "log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            [*bentoml, "serve", "regrade:latest"], cwd=elsewhere, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: serving.poll() is not None or is_ready(url), 120)
        assert serving.poll() is None, log.read_text()[-4000:]
        reply = httpx.post(f"{url}/v1/tasks/tiny-intent/predict", json={"text": "lost parcel"}, timeout=30)
        assert (reply.status_code, reply.json()["model_version"]) == (200, tiny_versions[0])
        assert [task["name"] for task in httpx.get(f"{url}/v1/tasks").json()["tasks"]][-1] == "tiny-intent"
    finally:
        end_process(serving)
