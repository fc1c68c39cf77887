"""Start from the encoder of a version that exists: its weights are read back from its fp32 graph.

A version holds no safetensors: the graph has them all. The exporter keeps the names of parameters, but for the weights
of products, which stand transposed behind the product's node.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from core.errors import ModelError
from service.artifact import FP32
from training.model import Network

_UNUSED = "pooler"

Array = NDArray[np.float32]


@torch.no_grad()
def load_encoder_of(folder: Path, network: Network) -> None:
    """Give the encoder of `network` the weights of the version in `folder`; the head stays as it is.

    Raises:
        ModelError: the graph lacks a weight, or has one of another shape: it is of another kind of encoder.
    """
    graph = onnx.load(folder / FP32).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    products = {_path_of(node.name): node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for path, module in network.encoder.named_modules(prefix="encoder"):
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            if _UNUSED not in name:
                parameter.copy_(torch.from_numpy(_weight(tensors, products, name, path, module)))


def _weight(
    tensors: Mapping[str, onnx.TensorProto], products: Mapping[str, str], name: str, path: str, module: nn.Module
) -> Array:
    own = tensors.get(name)
    product = tensors.get(products.get(path, "")) if isinstance(module, nn.Linear) else None
    if own is not None:
        found = numpy_helper.to_array(own)
    elif product is not None:
        found = numpy_helper.to_array(product).T
    else:
        raise ModelError(f'the live version\'s graph has no weight {name}; set `start = "base"` in [retrain]')
    wanted = tuple(module.get_parameter(name.removeprefix(f"{path}.")).shape)
    if found.shape != wanted:
        raise ModelError(
            f"{name} of the live version is {found.shape}, but the base encoder's is {wanted}: it was made from "
            'another one; set `start = "base"` in [retrain]'
        )
    return np.array(found, dtype=np.float32)


def _path_of(node: str) -> str:
    """Return the module that a product's node stands for, such as `encoder.encoder.layer.0.output.dense`."""
    return node.strip("/").replace("/", ".").removesuffix(".MatMul")
