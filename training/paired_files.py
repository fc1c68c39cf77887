"""Compared answers in files: ids, targets and what both models said, no text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from training.paired import Pair, Said

_PARTS = ("chosen", "confidence", "out_of_scope")


def keep_pair(path: Path, pair: Pair | None) -> None:
    """Write `pair` to `path`, whole or not at all; nothing where it is None."""
    if pair is None:
        return
    arrays: dict[str, Any] = {"ids": np.array(pair.ids, dtype=np.str_), "groups": pair.groups, "targets": pair.targets}
    for name, said in (("champion", pair.champion), ("candidate", pair.candidate)):
        arrays |= {f"{name}_{part}": getattr(said, part) for part in _PARTS}
    if pair.weights is not None:
        arrays["weights"] = pair.weights
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
    draft.replace(path)


def kept_pair(path: Path) -> Pair | None:
    """Return what `keep_pair` wrote; None where there is nothing that can be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return Pair(
                ids=kept["ids"].tolist(),
                groups=kept["groups"],
                targets=kept["targets"],
                champion=Said(*(kept[f"champion_{part}"] for part in _PARTS)),
                candidate=Said(*(kept[f"candidate_{part}"] for part in _PARTS)),
                weights=kept.get("weights"),
            )
    except (OSError, KeyError, ValueError, BadZipFile):
        return None
