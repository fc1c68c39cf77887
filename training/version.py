"""What a version says of itself: its manifest, and all of its figures without any text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from service.artifact import FILES, METRICS, Base, Gate, Manifest, sha256_of, write_manifest
from tasks.declaration import Task, Training
from training.base import BaseEncoder
from training.clean import snapshot_hash
from training.evaluate import Evaluation, without_nan
from training.learn import SHARES, Learned, Lesson
from training.parity import Parity
from training.sources import Sources

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


@dataclass(frozen=True)
class Findings:
    """All that was found on the way to a version; `evaluation` is None without gold, `seconds` is by stage."""

    sources: Sources
    lesson: Lesson
    learned: Learned
    parity: Parity
    evaluation: Evaluation | None
    seconds: dict[str, float]


def draft_manifest(
    task: Task, version: str, base: BaseEncoder, recipe: Training, sources: Sources, learned: Learned, *, quick: bool
) -> Manifest:
    """Describe a version whose files and headline figures are not known yet; `seal` adds them."""
    return Manifest(
        task=task.name,
        version=version,
        kind=task.kind,
        revision=task.revision,
        labels=task.labels,
        languages=task.languages,
        max_length=task.max_length,
        redact=task.redact,
        temperature=learned.calibration.temperature,
        method="quick" if quick else "full",
        base=Base(name=base.name, sha256=base.sha256, licence=base.licence),
        snapshot_sha256=snapshot_hash([*sources.rows, *sources.outside]),
        summary={},
        gate=Gate(decision="untested" if sources.gold else "ungated"),
        created_at=datetime.now(UTC),
        recipe={**recipe.model_dump(), **learned.chosen, "shares": SHARES},
        packages={name: package_version(name) for name in _PACKAGES},
        files={},
    )


def seal(folder: Path, draft: Manifest, findings: Findings) -> Manifest:
    """Write the figures and the final manifest into `folder`, whose other files are there already."""
    (folder / METRICS).write_text(json.dumps(figures(findings), indent=1), encoding="utf-8")
    evaluation = findings.evaluation
    found = evaluation.headline if evaluation else findings.learned.calibration.headline
    summary = {name: value for name, value in found.items() if value == value}  # noqa: PLR0124 - leaves out NaN
    manifest = draft.model_copy(
        update={"summary": summary, "files": {name: sha256_of(folder / name) for name in FILES}}
    )
    write_manifest(folder, manifest)
    return manifest


def figures(findings: Findings) -> dict[str, Any]:
    """Return every figure, ready for JSON; `measured_on` says which rows the manifest's summary is about."""
    sources, learned, evaluation = findings.sources, findings.learned, findings.evaluation
    found: dict[str, Any] = without_nan(
        {
            "measured_on": "gold" if evaluation else "calibration",
            "gold": evaluation.figures() if evaluation else None,
            "calibration": asdict(learned.calibration),
            "out_of_scope_curve": asdict(learned.curve),
            "parity": asdict(findings.parity),
            "epochs": [asdict(epoch) for epoch in learned.epochs],
            "rows": {
                "train": len(sources.rows),
                "out_of_scope": len(sources.outside),
                "not_used": len(sources.faults),
                "gold": len(sources.gold),
                "parts": {name: len(positions) for name, positions in findings.lesson.parts.items()},
            },
            "seconds": findings.seconds,
        }
    )
    return found
