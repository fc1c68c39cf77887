"""A task's declaration: the noun that every room shares, as `task.toml` states it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import TaskError
from core.redaction import KINDS, Kind

OUT_OF_SCOPE = "out_of_scope"
"""Reserved label of starter rows that no label covers; never a class of a model."""

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""Form of a task's name; it is also the name of its models, so the store's rules apply."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _task_name(value: str) -> str:
    if not NAME.fullmatch(value) or len(value) > 63:
        raise ValueError(
            f"{value!r} is no task name: expected up to 63 lower-case letters, digits and single hyphens, "
            "beginning with a letter"
        )
    return value


TaskName = Annotated[str, AfterValidator(_task_name)]


class Label(_Declared):
    """One label: `id` stays the same through renames, `name` is what people and the API say."""

    id: int = Field(ge=1)
    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=500)


class Training(_Declared):
    """How this task's models are fine-tuned; the defaults are the recipe that works on most intents."""

    epochs: int = Field(5, ge=1, le=100, description="Most passes over the data; early stopping may choose fewer.")
    patience: int = Field(
        2, ge=1, le=100, description="Epochs clearly below the best validation accuracy before stopping."
    )
    batch_size: int = Field(64, ge=2, le=1024)
    learning_rate: float = Field(1.5e-4, gt=0, lt=1)
    head_learning_rate: float = Field(5e-3, gt=0, lt=1)
    weight_decay: float = Field(0.01, ge=0, lt=1)
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises.")
    dropout: float = Field(0.1, ge=0, lt=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    contrastive: float = Field(0.5, ge=0, description="Weight of the supervised contrastive loss beside cross-entropy.")
    refit: bool = Field(
        True,
        description="Whether to fit once more on all rows, those held out to choose and calibrate included: a little "
        "more accurate, at more than twice the time.",
    )
    seed: int = Field(7, ge=0)


class Task(_Declared):
    """Something to classify, as declared under one revision."""

    name: TaskName
    kind: Literal["single_label"] = "single_label"
    title: str = ""
    description: str = ""
    revision: int = Field(1, ge=1)
    languages: list[str] = Field(default_factory=lambda: ["en"], min_length=1)
    base: str = Field("minilm-l6", description="Bundled encoder, local folder, or hub name.")
    max_length: int = Field(128, ge=8, le=512, description="Tokens that the model sees; longer texts are cut.")
    redact: list[Kind] = Field(default_factory=lambda: list(KINDS))
    labels: list[Label] = Field(min_length=2)
    training: Training = Field(default_factory=Training)

    @model_validator(mode="after")
    def _check_labels(self) -> Task:
        """Refuse repeated ids or names and the reserved name."""
        for what in ("id", "name"):
            values = [getattr(label, what) for label in self.labels]
            repeated = sorted({str(value) for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"label {what} {', '.join(repeated)} is used more than once; each must be unique")
        if OUT_OF_SCOPE in self.label_names:
            raise ValueError(f"{OUT_OF_SCOPE!r} is reserved for rows that no label covers; rename the label")
        return self

    @property
    def label_names(self) -> list[str]:
        """Names in the order of the model's outputs."""
        return [label.name for label in self.labels]


def read_task(folder: Path) -> Task:
    """Read `task.toml` in `folder`.

    Raises:
        TaskError: the file is missing, is not TOML, or declares something that is not allowed; names the file and key.
    """
    path = folder / "task.toml"
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        task = Task.model_validate(raw)
    except FileNotFoundError as error:
        raise TaskError(f"{path} does not exist; a task folder needs one (`regrade task new` makes it)") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TaskError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'task'}: {f['msg']}" for f in error.errors())
        raise TaskError(f"{path}: {faults}") from error
    if task.name != folder.name:
        raise TaskError(f"{path} names the task {task.name!r}, but its folder is {folder.name!r}; make them agree")
    return task
