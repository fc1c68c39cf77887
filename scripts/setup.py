"""Make `.venv` and install Regrade into it: `setup.py serve`, or `setup.py dev` for the tools of tests and lint too.

`setup.py gpu` puts ONNX Runtime's GPU build in the place of the CPU's there: one environment cannot hold both.

Only the standard library is used. What is missing is named together with what to do about it.
Environment: `TORCH_INDEX`, a package index with CPU builds of torch to try first.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
EXTRAS = {"serve": "train", "dev": "dev"}  # the first start of `make serve` trains, so that it needs `train`

GB = 10**9
NEEDED = 3 * GB
NEEDED_FOR_CUDA = 8 * GB

REACH = "NewConnectionError|name resolution|Failed to establish|Connection refused|ProxyError|ConnectTimeout|timed out"
OTHER_PYTHON = "another Python (`make clean`, then `make PYTHON=python3.12 ...`)"
CAUSES = {
    "No space left on device": "The disk is full. Free some, or point TMPDIR and PIP_CACHE_DIR at a larger one.",
    "certificate|SSLError": "The package index's certificate was not accepted. Behind a company's proxy, set PIP_CERT.",
    REACH: (
        "The package index cannot be reached. Check the network, set HTTPS_PROXY where there is a proxy, or name an "
        "index that you can reach with PIP_INDEX_URL."
    ),
    "No matching distribution found for torch": (
        f"The package index has no torch for this Python. Try {OTHER_PYTHON}, or name an index that has it with "
        "TORCH_INDEX."
    ),
    "No matching distribution found": (
        f"The package index lacks a package for this Python. Check PIP_INDEX_URL, or try {OTHER_PYTHON}."
    ),
}
"""What pip says when it fails, and what to do about it; the first that matches is told."""


def main(what: str) -> None:
    """Check the machine, then install for `what`: `serve`, `dev` or `gpu`."""
    check_machine()
    if what == "gpu":
        install_gpu()
        return
    make_venv()
    pip("setuptools>=77", "--retries", "2", told="looking for the package index")
    install_torch()
    pip("--no-build-isolation", "-e", f"{ROOT}[{EXTRAS[what]}]", told=f"installing Regrade with `{EXTRAS[what]}`")


def check_machine() -> None:
    """Check the system and the free disk space."""
    if platform.system() != "Linux":
        stop(f"Regrade runs on Linux; this is {platform.system()}. Use a container, a virtual machine or WSL 2.")
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED and not PYTHON.exists():
        stop(f"{free / GB:.1f} GB are free in {ROOT}; expected at least {NEEDED / GB:.0f} GB. Free some disk space.")
    if free < NEEDED_FOR_CUDA and not os.environ.get("TORCH_INDEX") and not has_torch():
        say(
            f"{free / GB:.1f} GB are free. That is enough for a CPU build of torch; PyPI's own is a CUDA build that "
            f"needs {NEEDED_FOR_CUDA / GB:.0f} GB. TORCH_INDEX may name an index of CPU builds."
        )


def make_venv() -> None:
    """Make `.venv` with the Python that runs this script, unless it is there and works."""
    if PYTHON.exists():
        asked = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return
    say(f"making .venv with Python {platform.python_version()}")
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False)
    if result.returncode:
        stop(f"{sys.executable} cannot make a virtual environment; install its venv package or set PYTHON=...")


def has_torch() -> bool:
    """Tell whether `.venv` has torch already."""
    return any(VENV.glob("lib/python3*/site-packages/torch/version.py"))


def install_torch() -> None:
    """Install the pinned torch, from `TORCH_INDEX` if that has it; it is the largest package and fails most often."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pin = next(line for line in extras["train"] if line.startswith("torch=="))
    index = os.environ.get("TORCH_INDEX")
    if index and not has_torch():
        source = ("--index-url", index, "--no-deps", "--retries", "1")
        failure = run_pip(pin, *source, told=f"installing {pin} from TORCH_INDEX")
        if failure is None:
            return
        say("TORCH_INDEX did not help; trying the ordinary index")
    pip(pin, told=f"installing {pin}")


def install_gpu() -> None:
    """Exchange `onnxruntime` in `.venv` for `onnxruntime-gpu` with the CUDA libraries it needs, a few GB.

    Both are one Python package, so that whichever is installed last would win, and half of it.
    """
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia").exists():
        stop("there is no NVIDIA GPU here, or its driver is not installed: `nvidia-smi` should show it.")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    subprocess.run([PYTHON, "-m", "pip", "uninstall", "--yes", "onnxruntime", "onnxruntime-gpu"], check=False)
    pip(*extras["gpu"], told="installing the `gpu` extra")


def pip(*arguments: str, told: str) -> None:
    """Run `pip install`; where it fails, say what to do and stop."""
    failure = run_pip(*arguments, told=told)
    if failure is not None:
        remedy = next((told for pattern, told in CAUSES.items() if re.search(pattern, failure)), "pip says why above.")
        stop(f"pip could not finish. {remedy}")


def run_pip(*arguments: str, told: str) -> str | None:
    """Run `pip install`, showing what it says; return its output if it failed, else None."""
    say(told)
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    heard = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            heard.append(line)
            if not line.startswith(("Requirement already satisfied", "Looking in")):
                sys.stdout.write(line)
                sys.stdout.flush()
    return "".join(heard) if process.returncode else None


def say(message: str) -> None:
    """Tell the user something."""
    sys.stdout.write(f"setup: {message}\n")
    sys.stdout.flush()


def stop(message: str) -> NoReturn:
    """Tell the user what is missing, and end."""
    sys.exit(f"setup: {message}")


if __name__ == "__main__":
    main(sys.argv[1])
