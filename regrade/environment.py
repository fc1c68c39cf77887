"""The settings of this process, read once, and the environment that libraries read while they are imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
"""Folder that holds the rooms and `bentofile.yaml`."""


def prepare(**options: Any) -> Settings:
    """Read the settings and set what BentoML and the tokenizers look for; every command calls this once, first.

    `options` are command-line options named like settings; they win over every other source unless they are None.

    Raises:
        SettingError: a setting cannot be used.
    """
    from core.settings import load_settings

    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    os.environ["BENTOML_HOME"] = str(settings.bentoml_home.absolute())
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return settings


def serving_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which another process, in whatever folder, reads the same settings.

    Without `api_key`, which is for clients.
    """
    values = {name: _as_text(value) for name, value in settings if name != "api_key"}
    values["database_url"] = _absolute(settings.store_url)
    return dict(os.environ) | {f"REGRADE_{name.upper()}": value for name, value in values.items()}


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _absolute(url: str) -> str:
    """Make the path of an SQLite URL independent of the working directory."""
    scheme, found, path = url.partition(":///")
    if not found or not scheme.startswith("sqlite") or path in {"", ":memory:"} or path.startswith("file:"):
        return url
    return f"{scheme}:///{Path(path).absolute()}"
