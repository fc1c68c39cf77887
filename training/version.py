"""What a version says of itself: its manifest, and all of its figures without any text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np

from service.artifact import FILES, HEAD, METRICS, WEIGHTS, Base, Gate, Manifest, Method, sha256_of, write_manifest
from service.triage import scope_threshold
from tasks.declaration import Task
from training.evaluate import Evaluation, without_nan
from training.fitted import Fitted
from training.graph_head import encoder_hash, read_head
from training.held_out import HELD_OUT
from training.parity import Parity
from training.risk import Thresholds
from training.sources import Sources
from training.split import Division

_PACKAGES = (
    "torch",
    "transformers",
    "optimum",
    "optimum-onnx",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "scikit-learn",
    "numpy",
)

_USUAL = 0.9
"""Share of held-out texts of the task's own whose out-of-scope score is usual; beyond, texts are drawn more often."""

_ENOUGH = 10


@dataclass(frozen=True)
class Findings:
    """All that was found on the way to a version; `evaluation` is None without gold, `seconds` is by stage."""

    sources: Sources
    division: Division
    learned: Fitted
    parity: Parity
    thresholds: Thresholds
    evaluation: Evaluation | None
    seconds: dict[str, float]


@dataclass(frozen=True)
class Origin:
    """What a version was made from, and how: by `method`, from `base` and a snapshot, with each choice in `recipe`.

    `testable` says whether there is a gold set that a gate can judge it by.
    """

    method: Method
    base: Base
    recipe: dict[str, Any]
    snapshot_sha256: str
    testable: bool


def draft_manifest(task: Task, version: str, temperature: float, origin: Origin) -> Manifest:
    """Describe a version whose files, thresholds and headline figures are not known yet; `seal` adds them."""
    return Manifest(
        task=task.name,
        version=version,
        kind=task.kind,
        revision=task.revision,
        labels=task.labels,
        languages=task.languages,
        max_length=task.max_length,
        redact=task.redact,
        temperature=temperature,
        method=origin.method,
        base=origin.base,
        snapshot_sha256=origin.snapshot_sha256,
        summary={},
        gate=Gate(decision="untested" if origin.testable else "ungated"),
        created_at=datetime.now(UTC),
        recipe=origin.recipe,
        packages={name: package_version(name) for name in _PACKAGES},
        files={},
    )


def seal(folder: Path, draft: Manifest, findings: Findings) -> Manifest:
    """Write the figures, the head by itself and the final manifest into `folder`, whose other files are there."""
    read_head(folder).save(folder / HEAD)
    (folder / METRICS).write_text(json.dumps(figures(findings), indent=1), encoding="utf-8")
    evaluation = findings.evaluation
    found = evaluation.headline if evaluation else findings.learned.calibration.headline
    summary = {name: value for name, value in found.items() if value == value}  # noqa: PLR0124 - leaves out NaN
    digests = {name: sha256_of(folder / name) for name in (*FILES, WEIGHTS, HEAD, HELD_OUT)}
    known = {"summary": summary, "files": digests, "encoder": encoder_hash(folder)}
    manifest = draft.model_copy(update={**known, **triage_of(draft, findings)})
    write_manifest(folder, manifest)
    return manifest


def triage_of(draft: Manifest, findings: Findings) -> dict[str, Any]:
    """Return the manifest's fields that say when a person is asked."""
    found, scores = findings.thresholds, findings.learned.held_out.out_of_scope
    return {
        "thresholds": {label.name: found.trust for label in draft.labels},
        "scope_threshold": scope_threshold(found.trust),
        "drift_from": float(np.quantile(scores, _USUAL)) if len(scores) >= _ENOUGH else None,
        "risk": found.risk,
    }


def figures(findings: Findings) -> dict[str, Any]:
    """Return every figure, ready for JSON; `measured_on` says which rows the manifest's summary is about."""
    sources, learned, evaluation = (findings.sources, findings.learned, findings.evaluation)
    found: dict[str, Any] = without_nan(
        {
            "measured_on": "gold" if evaluation else "calibration",
            "gold": evaluation.figures() if evaluation else None,
            "calibration": asdict(learned.calibration),
            "out_of_scope_curve": asdict(learned.curve),
            "trade_off": findings.thresholds.trade_off.figures(),
            "parity": asdict(findings.parity),
            "epochs": [asdict(epoch) for epoch in learned.epochs],
            "rows": {
                "train": len(sources.rows),
                "out_of_scope": len(sources.outside),
                "not_used": len(sources.faults),
                "gold": len(sources.gold),
                "parts": {
                    **{name: len(positions) for name, positions in findings.division.parts.items()},
                    "certification": len(findings.division.certification),
                },
            },
            "seconds": findings.seconds,
        }
    )
    return found
