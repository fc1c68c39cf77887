"""The live version, taken apart: the encoder that a fast run keeps, and the head that it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import ModelError
from core.settings import Settings
from service.artifact import FP32, HEAD, INT8, TOKENIZER, Manifest, read_manifest, sha256_of, verify_files
from service.classifier import softmax
from service.encoding import Encoder, Encoding, load_encoder
from service.head import Head, load_head
from service.model_store import version_folder
from service.runner import Floats, OrtRunner
from tasks.declaration import Task
from training.embedding_cache import EmbeddingCache
from training.graph_head import encoder_hash, read_head
from training.inference import run_all


@dataclass(frozen=True)
class Champion:
    """A version's `folder` and `manifest`, its `head` in the order of the task's labels of today, and its `encoder`."""

    folder: Path
    manifest: Manifest
    head: Head
    encoder: Encoder
    cache: EmbeddingCache

    def embed(self, texts: Sequence[str], advance: Callable[[int], object] = lambda _: None) -> Floats:
        """Return the embeddings `(n_texts, width)` of redacted `texts`, as the int8 graph computes them.

        What was computed before is not computed again; `advance` is told the number of texts of each part done.
        """
        known, kept = self.cache.find(texts)
        advance(len(known))
        missing = sorted(set(range(len(texts))) - set(known))
        found = np.empty((len(texts), self.head.weight.shape[1]), dtype=np.float32)
        if kept is not None:
            found[known] = kept
        if missing:
            encodings = [self.encoder.encode(texts[position]) for position in missing]
            run = OrtRunner(self.folder, "cpu", INT8).run
            found[missing] = run_all(run, self.encoder, encodings, advance).embeddings
            self.cache.add([texts[position] for position in missing], found[missing])
        return found

    def exact(self, encodings: Sequence[Encoding]) -> Floats:
        """Return the embeddings `(n_texts, width)` that the fp32 graph computes."""
        return run_all(OrtRunner(self.folder, "cpu", FP32).run, self.encoder, encodings).embeddings

    def probabilities(self, embeddings: Floats) -> Floats:
        """Return its calibrated answers `(n_texts, n_labels)` to texts of `embeddings` `(n_texts, width)`."""
        return softmax(self.head.logits(embeddings), self.manifest.temperature)


def open_champion(settings: Settings, task: Task, version: str) -> Champion:
    """Open `version` of `task`.

    Raises:
        NotFoundError: the model store does not hold it.
        ModelError: it is damaged, its labels are not the task's of today, or it sees texts otherwise.
    """
    folder = version_folder(task.name, version)
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    if manifest.max_length != task.max_length:
        raise ModelError(
            f"{version} of {task.name} sees {manifest.max_length} tokens, but the task declares {task.max_length}; "
            "run a full retraining"
        )
    # Texts of equal tokens have equal embeddings: the tokenizer and the length matter as much as the graph.
    graph = manifest.encoder or encoder_hash(folder)
    encoder = f"{graph[:32]}-{sha256_of(folder / TOKENIZER)[:8]}-{manifest.max_length}"
    head = load_head(folder / HEAD) if manifest.encoder else read_head(folder)
    return Champion(
        folder,
        manifest,
        _in_todays_order(head, manifest, task),
        load_encoder(folder / TOKENIZER, manifest.max_length),
        EmbeddingCache(settings.home, encoder),
    )


def _in_todays_order(head: Head, manifest: Manifest, task: Task) -> Head:
    places = {label.id: place for place, label in enumerate(manifest.labels)}
    today = [label.id for label in task.labels]
    if set(places) != set(today):
        raise ModelError(
            f"{manifest.version} of {task.name} has other labels than the task has under revision {task.revision}; "
            "run a full retraining, which makes a head for them"
        )
    order = [places[identifier] for identifier in today]
    return Head(head.weight[order], head.bias[order])
