"""One model version, ready to answer: redaction, tokens, graph, calibration and out-of-scope score.

The service, the gate and every evaluation use this one class, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.redaction import Redactor
from service.artifact import SCOPE, TOKENIZER, Manifest, read_manifest, verify_files
from service.batching import plan_batches
from service.encoding import Encoding, load_encoder
from service.runner import Floats, OrtRunner, Runner, graph_of
from service.scope import load_scope


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of `n` texts: calibrated `probabilities` `(n, n_labels)`, `out_of_scope` `(n,)` in 0 to 1."""

    probabilities: Floats
    out_of_scope: Floats


@dataclass(frozen=True, slots=True)
class Classified:
    """`Scores` of texts, with what was `truncated` `(n,)`."""

    scores: Scores
    truncated: list[bool]


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return probabilities along the last axis of `logits / temperature`."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


class Classifier:
    """A loaded model version; not safe to call from several threads at once."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        """Load the version in `folder`, to be computed by `runner`.

        Raises:
            ModelError: a part of it is missing, damaged, or of another format.
        """
        self.manifest: Manifest = read_manifest(folder)
        self.label_names = tuple(label.name for label in self.manifest.labels)
        self.redact = Redactor(self.manifest.redact)
        self.runner = runner
        self._encoder = load_encoder(folder / TOKENIZER, self.manifest.max_length)
        self._scope = load_scope(folder / SCOPE)

    def prepare(self, text: str) -> Encoding:
        """Redact and tokenise a text: the model never sees another form of it, in training or in serving."""
        return self._encoder.encode(self.redact(text))

    def score(self, encodings: Sequence[Encoding]) -> Scores:
        """Judge one batch, padded to its longest, in one run of the graph."""
        logits, embeddings = self.runner.run(*self._encoder.pad(encodings))
        return Scores(softmax(logits, self.manifest.temperature), self._scope.scores(embeddings, logits))

    def classify(
        self, texts: Sequence[str], budget: int = 512, progress: Callable[[int], None] = lambda _: None
    ) -> Classified:
        """Redact, tokenise and judge any number of texts, in length-sorted batches.

        `budget` bounds the padded tokens in a batch; `progress` is told the number of texts in each finished one.
        """
        encodings = [self.prepare(text) for text in texts]
        probabilities = np.empty((len(texts), len(self.label_names)), dtype=np.float32)
        out_of_scope = np.empty(len(texts), dtype=np.float32)
        for batch in plan_batches([len(encoding.ids) for encoding in encodings], budget):
            scores = self.score([encodings[position] for position in batch])
            probabilities[batch] = scores.probabilities
            out_of_scope[batch] = scores.out_of_scope
            progress(len(batch))
        return Classified(Scores(probabilities, out_of_scope), [encoding.truncated for encoding in encodings])


def load_classifier(folder: Path, runner: str = "cpu", *, file: str | None = None, verify: bool = True) -> Classifier:
    """Open the version in `folder` on the named runner; `file` overrides the graph (parity checks use both).

    Raises:
        ModelError: a file is missing or changed (`verify`), or cannot be loaded.
        RunnerError: the runner does not start here.
    """
    graph = file or graph_of(runner)
    if verify:  # what is not opened here need not be read
        verify_files(folder, read_manifest(folder), (graph, TOKENIZER, SCOPE))
    return Classifier(folder, OrtRunner(folder, runner, graph))
