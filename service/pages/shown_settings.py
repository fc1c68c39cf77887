"""Settings and declarations as people read them: every value, what it means, and whether somebody has set it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from core.settings import PREFIX, Settings
from tasks.declaration import Task

_SECRET = frozenset({"api_key", "database_url"})
"""Settings whose values are not shown: a URL may hold a password."""

_SECTIONS = ("triage", "review", "reports", "training")


@dataclass(frozen=True)
class Shown:
    """One value in words; a `secret` one's is only told to be there. `is_default`: nobody has set another."""

    name: str
    value: str
    about: str
    is_default: bool
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable of a setting."""
        return f"{PREFIX}{self.name.upper()}"


@dataclass(frozen=True)
class Section:
    """A table of `task.toml`."""

    name: str
    values: list[Shown]


@dataclass(frozen=True)
class Declared:
    """A task as it is declared, and its live version."""

    task: Task
    live: str | None
    sections: list[Section]


def shown_settings(settings: Settings) -> list[Shown]:
    """Return every setting as this process has it."""
    return [_setting(settings, name, field) for name, field in Settings.model_fields.items()]


def shown_task(task: Task, live: str | None) -> Declared:
    """Return a task's declaration in its sections."""
    return Declared(task, live, [Section(name, list(_values(getattr(task, name)))) for name in _SECTIONS])


def _setting(settings: Settings, name: str, field: FieldInfo) -> Shown:
    value = getattr(settings, name)
    default = field.get_default(call_default_factory=True)
    if name == "home":
        default = default.absolute()
    elif name == "database_url" and value == settings.model_copy(update={"database_url": ""}).store_url:
        default = value  # `regrade serve` writes the default out in full for the processes that it starts
    secret = name in _SECRET
    shown = "set" if secret and _words(value) else _words(value)
    return Shown(name, shown, (field.description or "").replace("`", ""), value == default, secret)


def _values(section: BaseModel) -> Iterator[Shown]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        default = field.get_default(call_default_factory=True)
        yield Shown(name, _words(value), (field.description or "").replace("`", ""), value == default)


def _words(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
