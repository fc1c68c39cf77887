"""What experiment trackers are told of a version: numbers, hashes and names of choices, and nobody's text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feedback.runs import Run
from service.artifact import Manifest

_CURVES = ("train_loss", "validation_loss", "validation_accuracy", "learning_rate")


@dataclass(frozen=True)
class Tracked:
    """A version for a tracker: `tags` say what it is, `choices` how it was made, `figures` how good it is.

    `curves` holds the figures of each epoch, by its number.
    """

    task: str
    version: str
    tags: Mapping[str, str]
    choices: Mapping[str, str | float]
    figures: Mapping[str, float]
    curves: Mapping[int, Mapping[str, float]]


def tracked(manifest: Manifest, metrics: Mapping[str, Any], run: Run | None = None) -> Tracked:
    """Return what is told of a version whose metrics file holds `metrics`; `run` made it, None where none did."""
    return Tracked(
        manifest.task,
        manifest.version,
        _tags(manifest, run),
        {name: value for name, value in manifest.recipe.items() if isinstance(value, str | int | float)}
        | {"revision": manifest.revision, "labels": len(manifest.labels), "max_length": manifest.max_length}
        | {f"rows_{name}": n for name, n in metrics.get("rows", {}).items() if isinstance(n, int)},
        {**manifest.summary, "temperature": manifest.temperature},
        {epoch["number"]: _curve(epoch) for epoch in metrics.get("epochs", ())},
    )


def _tags(manifest: Manifest, run: Run | None) -> dict[str, str]:
    about = {
        "task": manifest.task,
        "version": manifest.version,
        "method": manifest.method,
        "base": manifest.base.name,
        "snapshot_sha256": manifest.snapshot_sha256,
    }
    if run is None:
        return about
    told = {"run_id": run.id, "trigger": run.trigger, "status": run.status, "champion": run.champion or ""}
    return about | told | {"gate": str(run.gate["decision"]) if run.gate else ""}


def _curve(epoch: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(epoch[name]) for name in _CURVES if epoch.get(name) is not None}
