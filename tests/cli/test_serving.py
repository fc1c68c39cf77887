"""`regrade serve`, `regrade doctor` and `regrade bento`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.conftest import ENVIRONMENT
from tests.support.server import free_port, is_ready, wait_until

if TYPE_CHECKING:
    from tests.cli.conftest import Regrade


def checks(regrade: Regrade, **environment: str) -> tuple[int, dict[str, Any]]:
    done = regrade("doctor", "--json", environment=environment)
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_refuses_what_is_in_the_way(regrade: Regrade, tmp_path: Path) -> None:
    open_to_all = regrade("serve", "--host", "0.0.0.0")
    assert open_to_all.returncode == 2
    assert "keys" in open_to_all.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = regrade("serve", "--port", str(port))
    assert busy.returncode == 1
    assert f"port {port}" in busy.stderr
    file = tmp_path / "a-file"
    file.touch()
    unwritable = regrade("serve", "--port", str(free_port()), environment={"REGRADE_HOME": str(file)})
    assert unwritable.returncode == 2
    assert "REGRADE_HOME" in unwritable.stderr


def test_serves_versions_trained_before_and_stops_when_asked(
    home: Path, tmp_path: Path, tiny_versions: tuple[str, str]
) -> None:
    for file in home.glob("regrade.sqlite3*"):
        file.unlink()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "regrade", "serve", "--task", "tiny-intent", "--port", str(port), "--workers", "1"]
    log = tmp_path / "log"
    root = Path(__file__).parents[2]
    with log.open("wb") as output:
        environment = {**ENVIRONMENT, "REGRADE_HOME": str(home), "PYTHONPATH": str(root)}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or is_ready(url))
        assert process.poll() is None, log.read_text()
        answer = httpx.post(f"{url}/v1/tasks/tiny-intent/predict", json={"text": "my parcel"}, timeout=30)
        assert answer.json()["model_version"] == tiny_versions[1], "the newest is the one made live"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    said = log.read_text()
    assert f"{url}/docs" in said
    assert "trained before" in said


def test_doctor_finds_all_well(regrade: Regrade, tiny_versions: tuple[str, str]) -> None:
    code, found = checks(regrade, REGRADE_TASKS="tiny-intent")
    assert code == 0, found
    assert found["model tiny-intent"]["found"].startswith(tiny_versions[0])
    assert {check["status"] for check in found.values()} <= {"ok", "warn"}
    assert {"python", "packages", "processor", "memory", "disk", "home", "port", "runner", "store"} <= found.keys()


def test_doctor_names_a_damaged_model_and_goes_on(regrade: Regrade, home: Path, tiny_versions: tuple[str, str]) -> None:
    graph = home / "bentoml" / "models" / "tiny-intent" / tiny_versions[0] / "model.int8.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    code, found = checks(regrade, REGRADE_TASKS="tiny-intent")
    assert code == 1
    assert found["model tiny-intent"]["status"] == "fail"
    assert "model.int8.onnx" in found["model tiny-intent"]["found"]
    assert found["model tiny-intent"]["remedy"]
    told = regrade("doctor", environment={"REGRADE_TASKS": "tiny-intent"})
    assert told.returncode == 1
    assert "fail model tiny-intent" in told.stdout


def test_doctor_on_an_empty_home_changes_nothing(regrade: Regrade, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    code, found = checks(regrade, REGRADE_HOME=str(fresh))
    assert code == 0, found
    assert "first start" in found["home"]["found"]
    assert not fresh.exists()


def test_doctor_reads_a_broken_declaration(regrade: Regrade, home: Path) -> None:
    (home / "tasks" / "tiny-intent" / "task.toml").write_text("name = 3", encoding="utf-8")
    code, found = checks(regrade)
    assert code == 1
    assert found["tasks"]["status"] == "fail"
    assert "task.toml" in found["tasks"]["found"]


def test_bento_is_built_and_written(regrade: Regrade, tmp_path: Path) -> None:
    out = tmp_path / "out.bento"
    done = regrade("bento", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["tag"].startswith("regrade:")
    assert Path(said["file"]) == out
    assert out.stat().st_size > 10_000
    assert regrade("bento", "--out", out).returncode == 1


def test_bento_needs_a_live_version(regrade: Regrade, tmp_path: Path) -> None:
    done = regrade("bento", environment={"REGRADE_HOME": str(tmp_path / "fresh")})
    assert done.returncode == 1
    assert "regrade train" in done.stderr
