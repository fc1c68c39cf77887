"""One model version, ready to answer: redaction, tokens, graph, calibration and out-of-scope score.

The service, the gate and every evaluation use this one class, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.redaction import Redactor
from service.artifact import HEAD, SCOPE, TOKENIZER, Manifest, read_manifest, verify_files
from service.batching import plan_batches
from service.encoders import Encoders, SharedEncoder
from service.encoding import Encoder, Encoding
from service.head import load_head
from service.runner import Floats, graph_of
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


@dataclass(slots=True)
class Judged:
    """What the model says of one text: `probabilities` `(n_labels,)`, out-of-scope score, and whether it was cut.

    `text` is the redacted one, which it judged. `others` is what versions of other tasks say, where they are asked too.
    """

    probabilities: Floats
    out_of_scope: float
    truncated: bool
    text: str
    others: Sequence[Judged] = ()


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return probabilities along the last axis of `logits / temperature`."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


class Classifier:
    """A loaded model version; not safe to call from several threads at once."""

    def __init__(self, folder: Path, manifest: Manifest, shared: SharedEncoder) -> None:
        """Load the version in `folder`, which stands on `shared`.

        Raises:
            ModelError: a part of it is missing or damaged.
        """
        self.manifest = manifest
        self.label_names = tuple(label.name for label in manifest.labels)
        self.redact = Redactor(manifest.redact)
        self.shared = shared
        self.runner = shared.runner
        self._encoder = Encoder(shared.tokenizer, manifest.max_length)
        self._head = load_head(folder / HEAD) if manifest.encoder else None
        self._scope = load_scope(folder / SCOPE)

    def prepare(self, text: str) -> Encoding:
        """Redact and tokenise a text: the model never sees another form of it, in training or in serving."""
        return self._encoder.encode(self.redact(text))

    def score(self, encodings: Sequence[Encoding]) -> Scores:
        """Judge one batch, padded to its longest, in one run of the graph."""
        return self.judge(*self.compute(encodings))

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        """Return what the graph makes of one batch: its logits `(n, n_labels)` and embeddings `(n, width)`.

        The logits mean something to the version only whose graph it is, the embeddings to all on the same encoder.
        """
        return self.runner.run(*self._encoder.pad(encodings))

    def judge(self, logits: Floats, embeddings: Floats) -> Scores:
        """Judge `n` texts by what `compute` returned of them, be it another version's on the same encoder.

        A version with a head of its own always uses that: its answers do not depend on what it shares.
        """
        if self._head is not None:
            logits = self._head.logits(embeddings)
        return Scores(softmax(logits, self.manifest.temperature), self._scope.scores(embeddings, logits))

    def judged(self, encodings: Sequence[Encoding], logits: Floats, embeddings: Floats) -> list[Judged]:
        """Return what `judge` says, text by text."""
        scores = self.judge(logits, embeddings)
        said = zip(scores.probabilities, scores.out_of_scope.tolist(), encodings, strict=True)
        return [Judged(row, outside, encoding.truncated, encoding.text) for row, outside, encoding in said]

    @property
    def classifiers(self) -> tuple[Classifier, ...]:
        """The versions that are asked: this one; where several are asked together, `Heads` has them all."""
        return (self,)

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


def load_classifier(
    folder: Path,
    runner: str = "cpu",
    *,
    file: str | None = None,
    verify: bool = True,
    encoders: Encoders | None = None,
    cache: Path | None = None,
) -> Classifier:
    """Open the version in `folder` on the named runner; `file` overrides the graph (parity checks use both).

    Where one of `encoders` is the version's, that is used, and its own graph is not even read. A GPU needs `cache`, a
    folder for what it prepares.

    Raises:
        ModelError: a file is missing or changed (`verify`), or cannot be loaded.
        RunnerError: the runner does not start here.
    """
    graph, manifest, pool = file or graph_of(runner), read_manifest(folder), encoders or Encoders()
    shared = pool.find(manifest, runner, graph)
    if verify:  # what is not opened here need not be read
        verify_files(folder, manifest, (SCOPE,) if shared else (graph, TOKENIZER, SCOPE))
    return Classifier(folder, manifest, shared or pool.open(folder, manifest, runner, graph, cache))
