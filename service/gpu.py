"""A model version on a GPU: providers and their options, in fp16 where that says what fp32 says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort

from core.errors import ModelError, RunnerError
from service.artifact import FP32, TOKENIZER, Manifest
from service.bound import BoundRunner
from service.buckets import BATCH_TOKENS, MAX_TEXTS, all_buckets
from service.encoding import load_encoder
from service.prepared import half_graph, place_of
from service.runner import PROVIDERS, Floats, OrtRunner, Runner, load_libraries

logger = logging.getLogger("regrade.gpu")

Providers = list[tuple[str, Mapping[str, str]]]


class Attempt(NamedTuple):
    """How a graph is computed: in fp16 (`half`) or fp32, and whether CUDA `captures` its kernels."""

    half: bool
    captures: bool

    def __str__(self) -> str:
        """Say it in words, for logs."""
        return ("fp16" if self.half else "fp32") + (" and CUDA graphs" if self.captures else "")


LARGEST_GAP = 0.02
"""Largest difference allowed between a probability on the GPU and one of the fp32 graph on the CPU."""

_USUAL_TOKENS = 32
"""Length for which TensorRT tunes its engine; most short messages are within."""

_COMPARED = (
    "hello",
    "where is my parcel? it was promised for monday",
    "请问我的退款什么时候到账?",
    "The company said that its profit rose by 12 % to EUR 3.4 million, from EUR 3.0 million in the year before. " * 9,
)
"""Texts on which a GPU is compared with the CPU: each alone, and together."""


def open_on_gpu(folder: Path, manifest: Manifest, name: str, cache: Path | None) -> BoundRunner:
    """Open the version in `folder` with the runner `name`, in fp16 if that says the same; warm for every bucket.

    What is prepared for this machine, an fp16 graph or TensorRT's engines, is kept in the folder `cache`. The runner
    `cpu` computes in the same way without a GPU, for tests.

    Raises:
        ModelError: the graph cannot be loaded, or says something else here than on the CPU, even in fp32.
        RunnerError: the provider does not start, or there is no `cache`.
    """
    if cache is None:
        raise RunnerError(f"the {name} runner needs a folder for what it prepares; give `cache`")
    load_libraries()
    place = place_of(cache, name, manifest.files[FP32])
    expected = _answers(OrtRunner(folder, "cpu", FP32), folder, manifest)
    fault = "it has no graph"
    for attempt in attempts(name):
        try:
            runner = _open(folder, manifest, name, place, attempt)
            gap = gap_between(_answers(runner, folder, manifest), expected)
        except RunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - onnxruntime raises its own family without a common base
            fault = str(error)
        else:
            if gap <= LARGEST_GAP:
                _warm(runner, manifest.max_length)
                return runner
            fault = f"a probability differs by {gap:.2g} from the CPU's; at most {LARGEST_GAP} is allowed"
        logger.warning("version %s cannot be computed with %s by %s: %s", manifest.version, attempt, name, fault)
    raise ModelError(
        f"version {manifest.version} of {manifest.task} cannot be computed by the {name} runner: {fault}; check the "
        "GPU and its driver with `make gpu-check`, or set REGRADE_RUNNER=cpu"
    )


def attempts(name: str) -> list[Attempt]:
    """Return the ways in which the runner `name` is tried, best first: what cannot be had, or is wrong, is left out.

    Only CUDA captures graphs: TensorRT launches few kernels as it is.
    """
    captures = (True, False) if name == "cuda" else (False,)
    return [Attempt(half, capturing) for half in (True, False) for capturing in captures]


def gap_between(found: list[Floats], expected: list[Floats]) -> float:
    """Return the largest difference between probabilities of two runners, given their logits; NaN counts as infinite.

    Each list holds arrays `(n_texts, n_labels)` of the same shapes.
    """
    gaps = [np.abs(_softmax(one) - _softmax(other)).max() for one, other in zip(found, expected, strict=True)]
    largest = float(np.max(gaps))
    return largest if np.isfinite(largest) else float("inf")


def _softmax(logits: Floats) -> Floats:
    raised: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return total


def _answers(runner: Runner, folder: Path, manifest: Manifest) -> list[Floats]:
    """Return the logits of some texts, alone and together; each run is the second of its shape, a replay on a GPU."""
    encoder = load_encoder(folder / TOKENIZER, manifest.max_length)
    encodings = [encoder.encode(text) for text in _COMPARED]
    found = []
    for batch in (*([one] for one in encodings), encodings):
        ids, mask = encoder.pad(batch)
        runner.run(ids, mask)
        found.append(runner.run(ids, mask)[0])
    return found


def _warm(runner: BoundRunner, longest: int) -> None:
    """Compute every bucket, the largest first, so that no request pays for memory or for capturing."""
    for texts, tokens in sorted(all_buckets(longest, BATCH_TOKENS), key=lambda shape: -shape[0] * shape[1]):
        ids = np.ones((texts, tokens), dtype=np.int64)
        runner.run(ids, ids)


def _open(folder: Path, manifest: Manifest, name: str, place: Path, attempt: Attempt) -> BoundRunner:
    """Return a runner of the graph that is wanted; TensorRT makes its own fp16 from the fp32 one."""
    graph = half_graph(folder / FP32, place) if attempt.half and name != "tensorrt" else folder / FP32
    session = _session(graph, providers_of(name, place, manifest.max_length, attempt))
    return BoundRunner(name, session, manifest.max_length, "cpu" if name == "cpu" else "cuda", attempt.captures)


def _session(graph: Path, providers: Providers) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = providers[0][0]
    session = ort.InferenceSession(str(graph), options, providers=providers)
    if wanted not in session.get_providers():
        raise RunnerError(f"{wanted} did not start on this machine; set REGRADE_RUNNER=cpu")
    return session


def providers_of(name: str, place: Path, longest: int, attempt: Attempt) -> Providers:
    """Return ONNX Runtime's providers for the runner `name`, the best first, with their options.

    `place` is a folder for what TensorRT builds, `longest` the most tokens a text.
    """
    if name == "cpu":
        return [(PROVIDERS["cpu"], {})]
    cuda = {
        "arena_extend_strategy": "kSameAsRequested",  # doubling would take memory that no shape needs
        "use_tf32": "0",  # fp32 is computed only where less was not exact enough
        "enable_cuda_graph": "1" if attempt.captures else "0",
    }
    found: Providers = [(PROVIDERS["cuda"], cuda), (PROVIDERS["cpu"], {})]
    if name == "tensorrt":
        found.insert(0, (PROVIDERS["tensorrt"], _tensorrt_options(place, longest, half=attempt.half)))
    return found


def _tensorrt_options(place: Path, longest: int, *, half: bool) -> dict[str, str]:
    """Ask for one engine that computes every bucket; it takes minutes to build, and is kept."""
    usual = (MAX_TEXTS // 4, min(longest, _USUAL_TOKENS))
    shapes = {"min": (1, 1), "opt": usual, "max": (MAX_TEXTS, longest)}
    return {
        "trt_fp16_enable": "1" if half else "0",
        "trt_layer_norm_fp32_fallback": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(place),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(place),
        **{f"trt_profile_{which}_shapes": _profile(*shape) for which, shape in shapes.items()},
    }


def _profile(texts: int, tokens: int) -> str:
    return ",".join(f"{name}:{texts}x{tokens}" for name in ("input_ids", "attention_mask"))
