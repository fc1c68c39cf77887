"""`make gpu-check`, as far as it goes without a GPU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gpu import Checked, Parity
from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[2]
FINE = Checked(
    runner="cuda",
    device="a GPU",
    captures_graphs=True,
    open_s=3.0,
    parity=Parity(n=1000, fp32_agreement=0.998, fp32_gap=0.004, int8_agreement=0.99, replay_gap=0.0),
    shapes=[],
    texts_per_s=20_000.0,
    cpu_core_texts_per_s=1_000.0,
    device_mib=900.0,
)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, "REGRADE_HOME": str(home), "REGRADE_TASKS": "tiny-intent"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_holds_has_no_faults() -> None:
    assert FINE.faults() == []


@pytest.mark.parametrize(
    ("checked", "fault"),
    [
        (replace(FINE, parity=replace(FINE.parity, fp32_agreement=0.97)), "labels agree with fp32 on 97.00%"),
        (replace(FINE, parity=replace(FINE.parity, fp32_gap=0.2)), "differs from fp32 by 0.200"),
        (replace(FINE, parity=replace(FINE.parity, fp32_gap=float("nan"))), "differs from fp32 by nan"),
        (replace(FINE, parity=replace(FINE.parity, replay_gap=0.01)), "differ by 0.0100 the second time"),
        (replace(FINE, texts_per_s=900.0), "fewer than one CPU core's"),
    ],
)
def test_each_fault_is_named(checked: Checked, fault: str) -> None:
    (said,) = checked.faults()
    assert fault in said


def test_without_a_gpu_it_ends_with_the_remedy(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("gpu-check: REGRADE_RUNNER is 'cuda'")
    assert "make gpu" in done.stderr


def test_the_script_itself_runs_on_the_cpu(tiny_home: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_home, tmp_path / "home")
    done = run(tmp_path / "home", "--runner", "cpu", "--seconds", "0.05")
    assert "Traceback" not in done.stderr, done.stderr
    assert "labels as fp32 100.00%" in done.stdout
    assert "Milliseconds a run, by bucket" in done.stdout
    assert "memory on the device: unknown" in done.stdout
