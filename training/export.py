"""From torch to ONNX and to int8, through Optimum: the only file that imports it.

optimum-onnx pins transformers below 4.58; the move to transformers 5 is meant to change nothing but this file.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from optimum.exporters.onnx import export
from optimum.exporters.onnx.config import TextEncoderOnnxConfig
from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig
from optimum.utils import NormalizedTextConfig
from transformers import PretrainedConfig

from service.artifact import FP32
from training.graph_file import save_int8
from training.model import Network

OPSET = 18
"""Operator set of the graphs; every ONNX Runtime from 1.15 reads it."""

_HEAD = "/head/"


class _GraphConfig(TextEncoderOnnxConfig):  # type: ignore[misc]
    """Names and dynamic axes of a `Network`'s graph."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        axes = {0: "n_texts", 1: "n_tokens"}
        return {"input_ids": axes, "attention_mask": axes}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"logits": {0: "n_texts"}, "embedding": {0: "n_texts"}}


def export_graphs(network: Network, folder: Path) -> None:
    """Write `network` into `folder` as fp32 and dynamic int8 graphs (weights int8 per channel, activations uint8).

    The network itself is left as it is. No graph optimisation: on an optimised graph int8 is slower and Optimum's
    quantiser fails; ONNX Runtime fuses what it can when it loads the graph.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = copy.deepcopy(network).eval()
    plain.fold()
    with _quiet(), torch.no_grad():
        export(plain, _GraphConfig(plain.config, task="feature-extraction"), folder / FP32, opset=OPSET)
        _quantise(folder, plain.config)


def _quantise(folder: Path, config: PretrainedConfig) -> None:
    exact = _nodes_kept_exact(onnx.load(folder / FP32).graph)
    how = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True, nodes_to_exclude=exact)
    with TemporaryDirectory(dir=folder) as work:
        # Optimum writes its own configuration files beside the graph; only the graph is wanted.
        made = ORTQuantizer(folder / FP32, config=config).quantize(how, work, file_suffix="int8")
        save_int8(onnx.load(next(Path(made).glob("*.onnx"))), folder)


def _nodes_kept_exact(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the products that stay in fp32: the small head's, and attention's own.

    Attention multiplies two activations: quantising both each time costs accuracy and, measured, no less time. The
    quantiser splits a `Gemm` in two first, and then looks for its name with `_MatMul` behind it.
    """
    constants = {tensor.name for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type in {"MatMul", "Gemm"}]
    exact = [node.name for node in products if node.name.startswith(_HEAD) or constants.isdisjoint(node.input)]
    return exact + [f"{name}_MatMul" for name in exact]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own warnings out of the user's way: the parity check is what judges the result."""
    loggers = [logging.getLogger(name) for name in ("root", "optimum", "onnxruntime", "torch.onnx", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
