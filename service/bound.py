"""A runner for GPUs: texts padded to one of few shapes, each with buffers of its own on the device.

Inputs and outputs of a shape stay at the same place in the device's memory, so that nothing is allocated for a run and
CUDA can record the kernels of a shape once and launch them together afterwards (a CUDA graph).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from service.buckets import bucket_of
from service.encoding import Ints
from service.runner import Floats

GRAPH_TOKENS = 4_096
"""Padded tokens up to which a shape's kernels are captured: computing more takes longer than launching does."""

_NO_GRAPH = "-1"
"""The `gpu_graph_id` of runs that are neither captured nor replayed."""

_OUTPUTS = ("logits", "embedding")


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Buffers for one shape, in the host's memory (`ids`, `mask`) and on the device, and how to run it."""

    ids: Ints
    mask: Ints
    device_ids: Any
    device_mask: Any
    outputs: tuple[Any, Any]
    binding: Any
    options: Any


class BoundRunner:
    """One ONNX Runtime session that computes bucketed shapes with bound inputs and outputs.

    A captured graph belongs to the thread that captured it, so that one thread computes whatever thread asks.
    """

    def __init__(self, name: str, session: Any, longest: int, device: str, captures: bool) -> None:
        """Run `session`, opened by the runner `name`, on texts of up to `longest` tokens.

        `device` is where buffers lie, `cuda` or `cpu`; `captures` tells whether the session captures CUDA graphs.
        """
        self.name = name
        self._session = session
        self._longest = longest
        self._device = device
        self.captures = captures
        self._buckets: dict[tuple[int, int], _Bucket] = {}
        self._widths = {output.name: output.shape[1] for output in session.get_outputs()}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def run(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        """Return logits `(n_texts, n_labels)` and embeddings `(n_texts, width)` for padded `(n_texts, n_tokens)`."""
        return self._thread.submit(self._run, ids, mask).result()

    def _run(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        texts, tokens = ids.shape
        bucket = self._bucket(bucket_of(texts, tokens, max(tokens, self._longest)))
        _fill(bucket, ids, mask)
        bucket.device_ids.update_inplace(bucket.ids)
        bucket.device_mask.update_inplace(bucket.mask)
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        logits, embeddings = (output.numpy()[:texts].copy() for output in bucket.outputs)
        return logits, embeddings

    def _bucket(self, shape: tuple[int, int]) -> _Bucket:
        found = self._buckets.get(shape)
        if found is None:
            found = self._buckets[shape] = self._make_bucket(shape)
        return found

    def _make_bucket(self, shape: tuple[int, int]) -> _Bucket:
        binding = self._session.io_binding()
        inputs = [self._value(shape, np.int64) for _ in range(2)]
        binding.bind_ortvalue_input("input_ids", inputs[0])
        binding.bind_ortvalue_input("attention_mask", inputs[1])
        outputs = [self._value((shape[0], self._widths[name]), np.float32) for name in _OUTPUTS]
        for name, value in zip(_OUTPUTS, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        options = ort.RunOptions()
        if self.captures:
            options.add_run_config_entry("gpu_graph_id", graph_id(shape))
        ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        return _Bucket(ids, mask, inputs[0], inputs[1], (outputs[0], outputs[1]), binding, options)

    def _value(self, shape: tuple[int, int], kind: type[np.generic]) -> Any:
        return ort.OrtValue.ortvalue_from_shape_and_type(list(shape), kind, self._device, 0)


def graph_id(shape: tuple[int, int]) -> str:
    """Return the `gpu_graph_id` of a bucket `(texts, tokens)`: its own from 1, or the one that captures nothing."""
    texts, tokens = shape
    return str(texts << 13 | tokens) if texts * tokens <= GRAPH_TOKENS else _NO_GRAPH


def _fill(bucket: _Bucket, ids: Ints, mask: Ints) -> None:
    """Copy a batch into a bucket's buffers; rows beyond it are texts of one token, because attention needs one."""
    texts, tokens = ids.shape
    bucket.ids[:texts, :tokens] = ids
    bucket.mask[:texts, :tokens] = mask
    bucket.mask[:texts, tokens:] = 0
    bucket.mask[texts:] = 0
    bucket.mask[texts:, 0] = 1
