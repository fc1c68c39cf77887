"""What computes: an ONNX Runtime session on the CPU or a GPU, behind one interface."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from core.errors import ModelError, RunnerError
from core.settings import RunnerName, Settings
from service.artifact import FP32, INT8
from service.buckets import BATCH_TOKENS
from service.encoding import Ints

Floats = NDArray[np.float32]

logger = logging.getLogger("regrade.runner")

PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's provider for each runner."""

GPU_WORKERS = 4
"""Serving processes on a GPU at most, by default: each needs a core for HTTP and tokens, and a context on the device;
their batches take turns there."""

# The smallest ONNX model there is: one Identity node, opset 13.
_NOTHING = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a00100d"
)


class Runner(Protocol):
    """Runs one model version's graph."""

    name: str

    def run(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        """Return logits `(n_texts, n_labels)` and embeddings `(n_texts, width)` for padded `(n_texts, n_tokens)`."""
        ...


def graph_of(runner: str) -> str:
    """Return the graph that suits a runner: dynamic int8 does not run on a GPU."""
    return INT8 if runner == "cpu" else FP32


def choose_runner(wanted: RunnerName) -> str:
    """Return the runner to use here: `wanted`, or for `auto` CUDA where it works, else the CPU.

    Raises:
        RunnerError: what was asked for is not in this installation, or finds no device.
    """
    if wanted == "auto":
        return "cuda" if PROVIDERS["cuda"] in ort.get_available_providers() and _starts("cuda") else "cpu"
    available = ort.get_available_providers()
    if PROVIDERS[wanted] not in available:
        raise RunnerError(
            f"REGRADE_RUNNER is {wanted!r}, but ONNX Runtime here offers only {', '.join(available)}; "
            "on a machine with an NVIDIA GPU run `make gpu`, which installs the `gpu` extra, or set REGRADE_RUNNER=cpu"
        )
    if not _starts(wanted):
        raise RunnerError(
            f"REGRADE_RUNNER is {wanted!r}, which is installed but does not start here; check the GPU and its driver "
            "with `nvidia-smi`, or set REGRADE_RUNNER=cpu"
        )
    return wanted


def suited(settings: Settings) -> Settings:
    """Return `settings` with a GPU's defaults, where one computes, for what neither environment nor file sets.

    A wrong choice of runner is no error here: the worker says what is wrong.
    """
    defaults = {"workers": min(settings.workers, GPU_WORKERS), "batch_tokens": BATCH_TOKENS}
    open_ones = {name: value for name, value in defaults.items() if name not in settings.model_fields_set}
    if not open_ones or settings.runner == "cpu" or PROVIDERS["cuda"] not in ort.get_available_providers():
        return settings
    try:
        runner = choose_runner(settings.runner)
    except RunnerError:
        return settings
    return settings if runner == "cpu" else settings.model_copy(update=open_ones)


def _starts(runner: str) -> bool:
    """Tell whether a session on the runner's device can be opened: an installed provider may find no device."""
    if runner == "cpu":
        return True
    try:
        load_libraries()
        session = ort.InferenceSession(_NOTHING, providers=[PROVIDERS[runner]])
    except Exception:
        logger.debug("the %s runner does not start", runner, exc_info=True)
        return False
    return PROVIDERS[runner] in session.get_providers()


def load_libraries() -> None:
    """Load CUDA's libraries where Python packages brought them; ONNX Runtime says on standard output what it misses."""
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        ort.preload_dlls()
    if heard.getvalue():
        logger.debug("CUDA's libraries: %s", heard.getvalue().strip())


class OrtRunner:
    """One ONNX Runtime session as it is.

    On the CPU: int8, one thread, no spinning, so that one process a core is the unit of scaling.
    On a GPU: the fp32 graph, any shape as it comes; `service/gpu.py` has what serves there.
    """

    def __init__(self, folder: Path, name: str = "cpu", file: str | None = None, *, threads: int = 1) -> None:
        """Open the graph `file` (by default what suits the runner `name`) of the version in `folder`.

        A run is computed by `threads`; services use one, measurements try more.

        Raises:
            ModelError: the graph cannot be loaded.
            RunnerError: the provider is there but does not start, such as a GPU without a driver.
        """
        self.name = name
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = folder / (file or graph_of(name))
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[PROVIDERS[name]])
        except Exception as error:  # onnxruntime raises its own family without a common base
            raise ModelError(f"{path} cannot be loaded: {error}") from error
        if PROVIDERS[name] not in self._session.get_providers():
            raise RunnerError(f"the {name} runner did not start on this machine; set REGRADE_RUNNER=cpu")

    def run(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        """Return logits `(n_texts, n_labels)` and embeddings `(n_texts, width)` for padded `(n_texts, n_tokens)`."""
        outputs: list[Any] = self._session.run(["logits", "embedding"], {"input_ids": ids, "attention_mask": mask})
        return outputs[0], outputs[1]
