"""The head inside a version's graphs: read it, and put another in its place.

The rest of a graph stays as it is, byte for byte, and so do its embeddings. The head of the int8 graph is in fp32
(`training/export.py`), so that a new one needs no quantising. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from core.errors import ModelError
from service.artifact import FP32, INT8
from training.head import Head

_WEIGHT, _BIAS = "head.weight", "head.bias"


def read_head(folder: Path) -> Head:
    """Return the head of the version in `folder`.

    Raises:
        ModelError: its graph has no linear head under the usual names.
    """
    graph = onnx.load(folder / INT8).graph
    weight, bias = (numpy_helper.to_array(_find(graph, name, folder)) for name in (_WEIGHT, _BIAS))
    return Head(np.ascontiguousarray(weight if _by_label(graph) else weight.T), bias)


def encoder_hash(folder: Path) -> str:
    """Return the SHA-256 of the int8 graph in `folder` without its head: what its embeddings depend on."""
    model = onnx.load(folder / INT8)
    for name in (_WEIGHT, _BIAS):
        _find(model.graph, name, folder).Clear()
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def put_head(source: Path, target: Path, head: Head) -> None:
    """Write the graphs of the version in `source` into the folder `target`, with `head` instead of their own.

    Raises:
        ModelError: a graph has no linear head under the usual names, or one of another shape.
    """
    for file in (FP32, INT8):
        model = onnx.load(source / file)
        weight = head.weight if _by_label(model.graph) else head.weight.T
        _replace(_find(model.graph, _WEIGHT, source), weight)
        _replace(_find(model.graph, _BIAS, source), head.bias)
        onnx.save(model, target / file)


def _replace(tensor: onnx.TensorProto, array: NDArray[np.float32]) -> None:
    if list(tensor.dims) != list(array.shape):
        raise ModelError(
            f"{tensor.name} of the graph is {list(tensor.dims)}, but the new one {list(array.shape)}; "
            "run a full retraining, which makes new graphs"
        )
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), tensor.name))


def _find(graph: onnx.GraphProto, name: str, folder: Path) -> onnx.TensorProto:
    tensors: list[onnx.TensorProto] = [tensor for tensor in graph.initializer if tensor.name == name]
    if tensors:
        return tensors[0]
    raise ModelError(f"the graph in {folder} has no {name}, so that its head cannot be refitted; run a full retraining")


def _by_label(graph: onnx.GraphProto) -> bool:
    """Tell whether the weight is `(n_labels, width)`: for a `Gemm` that transposes it, not for a plain product."""
    user = next((node for node in graph.node if _WEIGHT in node.input), None)
    return user is not None and any(part.name == "transB" and part.i == 1 for part in user.attribute)
