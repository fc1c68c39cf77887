"""A model version on disk: the files it holds and the manifest that describes them.

`training` writes this folder, `service` reads it; nothing else is shared between learning and serving.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import ModelError
from core.redaction import Kind
from tasks.declaration import Label, TaskName

INT8 = "model.int8.onnx"
FP32 = "model.fp32.onnx"
WEIGHTS = "model.int8.bin"
TOKENIZER = "tokenizer.json"
SCOPE = "out_of_scope.npz"
HEAD = "head.npz"
METRICS = "metrics.json"
NOTICE = "NOTICE.txt"
MANIFEST = "manifest.json"
FILES = (INT8, FP32, TOKENIZER, SCOPE, METRICS, NOTICE)
"""Files whose hashes the manifest holds. Both graphs take `input_ids` and `attention_mask`, int64
`(n_texts, n_tokens)`, and return `logits` `(n_texts, n_labels)` and `embedding` `(n_texts, width)`, float32. Where the
manifest names an `encoder`, there is `HEAD` too: what makes logits of embeddings, as the graphs do. `WEIGHTS` are the
int8 graph's, which every process maps into memory; the graphs of older versions hold them themselves."""


Method = Literal["full", "quick", "fast"]
"""How a version was learnt: fine-tuned, as a head on the base encoder as it is, or as another version's new head."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Base(_Part):
    """The encoder that a model was fine-tuned from."""

    name: str
    sha256: str
    licence: str


class Gate(_Part):
    """What the gate said of a version; `untested` before a gate has judged it, `ungated` without a gold set."""

    decision: Literal["untested", "ungated", "pass", "fail", "inconclusive"]
    reasons: list[str] = Field(default_factory=list)


class Risk(_Part):
    """What is promised of the answers that no person looks at, and on which rows it was tested.

    The promise holds for traffic like those `rows`, of which `outside` are out of scope: an out-of-scope text that is
    answered counts as wrong.
    """

    max_error: float = Field(gt=0, lt=1, description="Share of wrong answers accepted among the unreviewed ones.")
    confidence: float = Field(gt=0, lt=1, description="How sure to be that `max_error` is kept.")
    certified: bool = Field(description="Whether the thresholds passed the test; otherwise they are estimates.")
    rows: int = Field(ge=0, description="Held-out rows that served for nothing else.")
    outside: int = Field(ge=0, description="How many of them are out of scope.")
    answered: int = Field(ge=0, description="How many of them are answered without a person at these thresholds.")
    errors: int = Field(ge=0, description="How many of the answered ones are wrong.")
    more_needed: int | None = Field(
        None, description="About how many more rows a certificate needs; null: it is there, or no number would do."
    )
    note: str = Field(description="The result and its assumption in a sentence or two.")


class Manifest(_Part):
    """Everything about a model version that is not an array; `format` changes when old readers would misread it."""

    format: Literal[1] = 1
    task: TaskName
    version: str
    kind: Literal["single_label"]
    revision: int
    labels: list[Label]
    languages: list[str]
    max_length: int
    redact: list[Kind]
    temperature: float = Field(gt=0, description="Divides the logits before the softmax (Guo et al. 2017).")
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="Confidence below which an answer is doubtful, by label; empty: none fitted."
    )
    scope_threshold: float | None = Field(
        None, ge=0, le=1, description="Out-of-scope score above which an answer is doubtful; null: none fitted."
    )
    drift_from: float | None = Field(
        None, ge=0, le=1, description="Score that a tenth of the task's own held-out texts exceed; null: not measured."
    )
    risk: Risk | None = Field(None, description="What the thresholds promise; null: made before they were fitted.")
    method: Method
    base: Base
    encoder: str | None = Field(
        None, description="SHA-256 of the int8 graph without its head; null: made before heads had a file of their own."
    )
    snapshot_sha256: str = Field(description="Hash of the rows it was trained on.")
    summary: dict[str, float] = Field(description="Headline metrics, such as `accuracy` and `macro_f1` on gold.")
    gate: Gate
    created_at: datetime
    recipe: dict[str, Any] = Field(description="Every choice that training made: seeds, epochs, rates.")
    packages: dict[str, str] = Field(description="Versions of the libraries that made it.")
    files: dict[str, str] = Field(description="SHA-256 by file name.")

    @property
    def is_candidate(self) -> bool:
        """Whether a run of the retraining job made it: whether it may serve is known from the run's verdict alone."""
        return "champion" in self.recipe


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`, beside the files it describes."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the version in `folder`.

    Raises:
        ModelError: it is missing or this release cannot read it.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no {MANIFEST}: it is not a model version; train one") from error
    except (ValidationError, OSError) as error:
        raise ModelError(f"{path} cannot be used by this release: {error}; train the task again") from error


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read the full metrics that training measured, as `METRICS` holds them."""
    metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    return metrics


def verify_files(folder: Path, manifest: Manifest, names: Collection[str] = FILES) -> None:
    """Check that the files `names`, with the graph's weights and the version's head, are there and unchanged.

    Raises:
        ModelError: a file is missing, or its hash is not the manifest's; names the file.
    """
    for name in (*names, *_with(names, manifest)):
        path, expected = folder / name, manifest.files.get(name)
        if not path.exists():
            raise ModelError(f"{path} is missing; delete this version and train the task again")
        if sha256_of(path) != expected:
            raise ModelError(f"{path} has changed since it was made; delete this version and train the task again")


def _with(names: Collection[str], manifest: Manifest) -> list[str]:
    """Return what belongs to the files `names` in versions that have it."""
    return [name for name in (HEAD, WEIGHTS) if name in manifest.files and (name == HEAD or INT8 in names)]


def served_bytes(folder: Path) -> int:
    """Return the size of what serves on the CPU: the int8 graph and its weights."""
    return sum(path.stat().st_size for path in (folder / INT8, folder / WEIGHTS) if path.exists())
