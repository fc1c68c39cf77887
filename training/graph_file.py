"""The int8 graph on disk: its weights lie in a file beside it.

ONNX Runtime maps such a file into memory: what it does not repack is shared by all processes of a host and counted
once, and nothing is copied on the way. Of a graph that holds its weights itself each process keeps a copy.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from service.artifact import INT8, WEIGHTS

_SMALL = 1_024
"""Bytes up to which a tensor stays in the graph."""


def save_int8(model: onnx.ModelProto, folder: Path) -> None:
    """Write `model`, which is changed by that, as the int8 graph of the version in `folder`."""
    (folder / WEIGHTS).unlink(missing_ok=True)  # onnx would add to the end of it
    onnx.save(
        model,
        folder / INT8,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=WEIGHTS,
        size_threshold=_SMALL,
    )
