"""Which rows a version's encoder has never seen, by the hashes of their texts.

A later version that keeps the encoder may be certified on the rows that certified this one, and on no others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError
from core.text import text_hash
from service.artifact import Manifest
from tasks.catalogue import TaskFolder
from training.clean import snapshot_hash
from training.near import ALIKE, near_twins
from training.rows import Row
from training.sources import gather
from training.split import Division, divide

HELD_OUT = "held_out.json"
"""File of a version; the first release's have none."""

_DIGITS = 16


@dataclass(frozen=True)
class HeldOut:
    """Brief hashes of the rows that certified a version, and of others that its encoder was not fitted to."""

    certification: frozenset[str] = frozenset()
    unfitted: frozenset[str] = frozenset()


def keep_held_out(folder: Path, held: HeldOut) -> None:
    """Write `held` into a version's `folder`; it holds no text."""
    lists = {"certification": sorted(held.certification), "unfitted": sorted(held.unfitted)}
    (folder / HELD_OUT).write_text(json.dumps(lists), encoding="utf-8")


def held_out_of(division: Division, *, on_all_rows: bool) -> HeldOut:
    """Return what `division` holds out of a model that is fitted `on_all_rows` to learn from, or on the train part."""
    some = [] if on_all_rows else [*division.parts["validation"], *division.parts["calibration"]]
    return HeldOut(
        frozenset(brief_hash(row.text) for row in division.certification),
        frozenset(brief_hash(division.rows[position].text) for position in some),
    )


def divide_as_before(rows: Sequence[Row], outside: Sequence[Row], held: HeldOut, learnt: AbstractSet[int]) -> Division:
    """Divide `rows`, and `outside` rows of no label, as those were that `held` tells of: what was held out stays so.

    Rows at the positions `learnt` are all learnt from, and so is what is like them. What the encoder was not fitted to
    chooses and calibrates, half of it each.
    """
    hashes = hashes_of([row.text for row in rows])
    kept = [at for at, digest in enumerate(hashes) if digest in held.certification | held.unfitted and at not in learnt]
    alike = near_twins([rows[at].text for at in kept], [rows[at].text for at in sorted(learnt)], ALIKE)
    free = {at for at, twin in zip(kept, alike, strict=True) if not twin}
    certify = {at for at in free if hashes[at] in held.certification}
    learning = [at for at in range(len(rows)) if at not in certify]
    parts: dict[str, list[int]] = {"train": [], "validation": [], "calibration": []}
    for place, at in enumerate(learning):
        half = "calibration" if int(hashes[at], 16) % 2 else "validation"
        parts[half if at in free else "train"].append(place)
    strange = [brief_hash(row.text) in held.certification for row in outside]
    return Division(
        [rows[at] for at in learning],
        parts,
        [row for row, certifies in zip(outside, strange, strict=True) if not certifies],
        [*(rows[at] for at in sorted(certify)), *(row for row, one in zip(outside, strange, strict=True) if one)],
        {},
    )


def find_held_out(task: TaskFolder, manifest: Manifest, folder: Path) -> HeldOut | None:
    """Return what the version in `folder` has never seen; None where that is not known.

    A version without the file was trained from the task's own rows; where these are the same today, so is the split.
    """
    path = folder / HELD_OUT
    if path.exists():
        lists = json.loads(path.read_text(encoding="utf-8"))
        return HeldOut(frozenset(lists["certification"]), frozenset(lists["unfitted"]))
    try:
        sources = gather(task)
    except DataError:
        return None
    if snapshot_hash([*sources.rows, *sources.outside]) != manifest.snapshot_sha256:
        return None
    on_all_rows = manifest.method == "quick" or bool(manifest.recipe.get("refit", True))
    return held_out_of(divide(sources.rows, sources.outside, int(manifest.recipe["seed"])), on_all_rows=on_all_rows)


def brief_hash(text: str) -> str:
    """Return the first 16 digits of the text's hash: enough to tell a task's texts apart."""
    return text_hash(text)[:_DIGITS]


def hashes_of(texts: Sequence[str]) -> list[str]:
    """Return the brief hash of each of `texts`."""
    return [brief_hash(text) for text in texts]
