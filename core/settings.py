"""Settings: read once a process from the environment or `regrade.toml`, frozen, and passed down.

Precedence: environment variable, then `regrade.toml` in the working directory, then the default.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.errors import SettingError

PREFIX = "REGRADE_"
RunnerName = Literal["auto", "cpu", "cuda", "tensorrt"]
TrackerName = Literal["mlflow", "wandb"]


def available_cores() -> int:
    """Return how many cores this process may run on (its affinity mask, not the machine's count)."""
    return len(os.sched_getaffinity(0))


class Settings(BaseSettings):
    """Every setting; the environment variable is the field's name in capitals after `REGRADE_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file="regrade.toml", extra="forbid", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(Path("var"), description="Folder for the database, models, reports and own tasks.")
    host: str = Field(
        "127.0.0.1", description="IP address to listen on; only loopback addresses while there are no keys."
    )
    port: int = Field(3000, ge=1, le=65535, description="TCP port to listen on.")
    workers: int = Field(
        default_factory=available_cores, ge=1, le=256, description="Serving processes; default one a core."
    )
    database_url: str = Field("", description="SQLAlchemy URL of the store; empty: SQLite in `REGRADE_HOME`.")
    tasks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated names of the tasks to serve; empty: all found."
    )
    runner: RunnerName = Field("auto", description="What computes: `auto`, `cpu`, `cuda` or `tensorrt`.")
    api_key: SecretStr = Field(SecretStr(""), description="Key that command-line clients send to the service.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log level shown.")
    max_queue: int = Field(
        1024, ge=256, le=100_000, description="Texts that may wait in one worker before requests get 429."
    )
    batch_tokens: int = Field(
        512, ge=64, le=65_536, description="Padded tokens in one batch at most; bounds a worker's memory."
    )
    request_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds after which a request still waiting is dropped and answered 429."
    )
    answer_cache: int = Field(
        0, ge=0, le=10_000_000, description="Answers kept in each worker for exact repeats of a text; 0: none."
    )
    trackers: Annotated[tuple[TrackerName, ...], NoDecode] = Field(
        (), description="Comma-separated experiment trackers beside TensorBoard: `mlflow`, `wandb`; empty: none."
    )
    record: Literal["all", "off"] = Field(
        "all", description="`all` predictions are remembered; `off`: none, and nobody is asked, for measuring."
    )
    keep_days: int = Field(
        30, ge=1, le=36_500, description="Days for which predictions without an item or a report are kept."
    )
    session_hours: float = Field(
        12.0, gt=0, le=720, description="Hours after which somebody who signed in on the pages must sign in again."
    )
    drain_seconds: float = Field(
        1.0, ge=0, le=600, description="Seconds between readiness going false and the listener closing on SIGTERM."
    )

    @field_validator("tasks", "trackers", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        """Accept the comma-separated form of the environment as well as a list from `regrade.toml`."""
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("host")
    @classmethod
    def _check_address(cls, value: str) -> str:
        """Accept only an IP address, or `localhost`, which means 127.0.0.1."""
        return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))

    @field_validator("home")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        """Make the folder independent of later changes of directory."""
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes every source
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def is_loopback(self) -> bool:
        """Whether the service can be reached from this machine only."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store: `database_url`, or SQLite in `home`."""
        return self.database_url or f"sqlite:///{self.home / 'regrade.sqlite3'}"

    @property
    def bentoml_home(self) -> Path:
        """Folder of the BentoML model store: `BENTOML_HOME` where it is set, else in `home`."""
        return Path(os.environ.get("BENTOML_HOME") or self.home / "bentoml")

    @property
    def own_tasks(self) -> Path:
        """Folder of the user's own tasks."""
        return self.home / "tasks"

    @property
    def cache(self) -> Path:
        """Folder of what can be made again at any time, such as what a GPU host prepares of versions."""
        return self.home / "cache"

    @property
    def reports(self) -> Path:
        """Folder of training and evaluation reports."""
        return self.home / "reports"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` (already parsed, such as command-line options) win over every source.

    Raises:
        SettingError: a value cannot be used, or `regrade.toml` has an unknown key or is not TOML.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingError("; ".join(_describe(fault) for fault in error.errors())) from error
    except ValueError as error:  # tomllib and the sources' own parsing
        raise SettingError(f"regrade.toml cannot be read: {error}; correct it or move it away") from error


def _describe(fault: Any) -> str:
    field = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f"regrade.toml has an unknown key {field!r}; expected one of: {known}"
    value = "(hidden)" if field in {"api_key", "database_url"} else repr(fault["input"])
    about = Settings.model_fields[field].description if field in Settings.model_fields else ""
    return f"{PREFIX}{field.upper()} is {value}: {fault['msg'].lower()}. {about}".strip()
