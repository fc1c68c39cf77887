"""The head inside a version's graphs: read it, and put another in its place.

The rest of a graph stays as it is, byte for byte, and so do its embeddings. The head of the int8 graph is in fp32
(`training/export.py`), so that a new one needs no quantising. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from core.errors import ModelError
from service.artifact import FP32, INT8
from service.head import Head
from training.graph_file import save_int8

_EMBEDDING, _LOGITS = "embedding", "logits"
"""Outputs of a graph: what the head reads, and what it gives."""


def read_head(folder: Path) -> Head:
    """Return the head of the version in `folder`.

    Raises:
        ModelError: its graph has no linear head between `embedding` and `logits`.
    """
    place = _find(onnx.load(folder / INT8).graph, folder)
    weight, bias = numpy_helper.to_array(place.weight), numpy_helper.to_array(place.bias)
    return Head(np.ascontiguousarray(weight if place.by_label else weight.T), bias)


def encoder_hash(folder: Path) -> str:
    """Return the SHA-256 of the int8 graph in `folder` without its head: what its embeddings depend on.

    It does not depend on the number of labels either, which the graph tells of in the shapes of its outputs.
    """
    model = onnx.load(folder / INT8)
    place = _find(model.graph, folder)
    place.weight.Clear()
    place.bias.Clear()
    for told in (model.graph.output, model.graph.value_info):
        del told[:]
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def put_head(source: Path, target: Path, head: Head) -> None:
    """Write the graphs of the version in `source` into the folder `target`, with `head` instead of their own.

    Raises:
        ModelError: a graph has no linear head between `embedding` and `logits`, or one of another shape.
    """
    onnx.save(_with_head(source, FP32, head), target / FP32)
    save_int8(_with_head(source, INT8, head), target)


def _with_head(source: Path, file: str, head: Head) -> onnx.ModelProto:
    model = onnx.load(source / file)
    place = _find(model.graph, source)
    _replace(place.weight, head.weight if place.by_label else head.weight.T)
    _replace(place.bias, head.bias)
    return model


def _replace(tensor: onnx.TensorProto, array: NDArray[np.float32]) -> None:
    if list(tensor.dims) != list(array.shape):
        raise ModelError(
            f"{tensor.name} of the graph is {list(tensor.dims)}, but the new one {list(array.shape)}; "
            "run a full retraining, which makes new graphs"
        )
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), tensor.name))


@dataclass(frozen=True)
class _Place:
    """Where a graph keeps its head."""

    weight: onnx.TensorProto
    bias: onnx.TensorProto
    by_label: bool
    """Whether the weight is `(n_labels, width)`: for a `Gemm` that transposes it, not for a plain product."""


def _find(graph: onnx.GraphProto, folder: Path) -> _Place:
    """Find the head by what it does, not by its names: quantisers rename and split what they touch."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {made: node for node in graph.node for made in node.output}
    last = makers.get(_LOGITS)
    product = last
    if last is not None and last.op_type == "Add":
        product = next((makers[name] for name in last.input if name in makers), None)
    if last is not None and product is not None and product.input[0] == _EMBEDDING:
        weight = constants.get(product.input[1])
        bias = next((constants[name] for name in last.input if name in constants and name != product.input[1]), None)
        if weight is not None and bias is not None:
            return _Place(weight, bias, any(part.name == "transB" and part.i == 1 for part in product.attribute))
    raise ModelError(
        f"the graph in {folder} has no linear head between {_EMBEDDING} and {_LOGITS}, so that it cannot be refitted; "
        "run a full retraining"
    )
