"""A virtual environment for each peer, made at first and kept: what one installs cannot change another."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.registry import Peer

INSTALL_LIMIT_S = 1800

_SERVERS = ("bentoml", "fastapi", "uvicorn", "litserve", "ray", "kserve", "mlserver", "mlserver-huggingface")
TOLD = (*_SERVERS, "onnxruntime", "tokenizers", "torch", "transformers", "optimum")
"""Packages whose versions stand in a result."""


class PeerError(Exception):
    """A peer cannot be installed, started or measured; the others go on."""


def python_of(peer: Peer, work: Path) -> str:
    """Return the Python that runs `peer`, after making its environment under `work` if need be.

    Peers that require the same share one. `TORCH_INDEX` may name an index of CPU builds of PyTorch, tried first.

    Raises:
        PeerError: pip could not install it; its last words are in the message.
    """
    if not peer.requires:
        return sys.executable
    name = re.sub(r"\W+", "-", peer.requires[0])
    folder = work / "environments" / f"{name}-{hashlib.sha256(repr(peer.requires).encode()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {peer.name} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _call([sys.executable, "-m", "venv", str(folder)])
        for requirements in _steps(peer.requires):
            _call([str(python), "-m", "pip", "install", "--quiet", "--no-input", *requirements])
        (folder / "complete").touch()
    return str(python)


def _steps(requires: tuple[str, ...]) -> list[list[str]]:
    torch, index = [one for one in requires if one.startswith("torch==")], os.environ.get("TORCH_INDEX")
    return [["--index-url", index, "--no-deps", *torch], list(requires)] if torch and index else [list(requires)]


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"not installed: {' '.join(command)} took over {INSTALL_LIMIT_S} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-3:]
        raise PeerError(f"not installed: {' '.join(lines)[:600]}")


def packages_of(python: str) -> dict[str, str]:
    """Return the versions of `TOLD` that are installed for `python`."""
    command = [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    versions = {one["name"]: one["version"] for one in json.loads(listed.stdout or "[]")}
    return {name: versions[name] for name in TOLD if name in versions}
