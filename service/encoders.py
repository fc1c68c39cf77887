"""The encoders of one process: each is opened once, however many versions stand on it.

Versions made with `--quick` from one base have one encoder and differ in their heads, and so do a version and those
that a fast retraining made of it. What they share is found by the hash in their manifests, and goes with the last one.
"""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from tokenizers import Tokenizer

from service.artifact import TOKENIZER, Manifest
from service.encoding import read_tokenizer
from service.gpu import open_on_gpu
from service.runner import OrtRunner, Runner

_Key = tuple[str, str, str]


class SharedEncoder:
    """A runner of an encoder's graph, and the tokenizer that belongs to it."""

    def __init__(self, runner: Runner, tokenizer: Tokenizer) -> None:
        """Hold what versions on this encoder use together."""
        self.runner = runner
        self.tokenizer = tokenizer


class Encoders:
    """Opens encoders, and gives one that is open already to every version that has the same."""

    def __init__(self) -> None:
        """Begin with none."""
        self._open: WeakValueDictionary[_Key, SharedEncoder] = WeakValueDictionary()

    def find(self, manifest: Manifest, runner: str, graph: str) -> SharedEncoder | None:
        """Return the open encoder that a version stands on, as the file `graph` has it, or None.

        Only on the CPU: sessions of other runners keep buffers of their own, which two threads may not use at once.
        """
        return self._open.get(_key(manifest, graph)) if runner == "cpu" and manifest.encoder else None

    def open(
        self, folder: Path, manifest: Manifest, runner: str, graph: str, cache: Path | None = None
    ) -> SharedEncoder:
        """Open the encoder of the version in `folder` as the file `graph` has it.

        On a GPU, what is prepared of the fp32 graph is kept in the folder `cache`.

        Raises:
            ModelError: it cannot be loaded.
            RunnerError: the runner does not start here.
        """
        if runner == "cpu":
            opens: Runner = OrtRunner(folder, runner, graph)
        else:
            opens = open_on_gpu(folder, manifest, runner, cache)
        opened = SharedEncoder(opens, read_tokenizer(folder / TOKENIZER))
        if runner == "cpu" and manifest.encoder:
            self._open[_key(manifest, graph)] = opened
        return opened


def _key(manifest: Manifest, graph: str) -> _Key:
    """Return what two versions have in common if they stand on one encoder: graph without head, and tokenizer."""
    return graph, manifest.encoder or "", manifest.files.get(TOKENIZER, "")
