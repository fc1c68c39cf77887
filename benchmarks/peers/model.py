"""The model as every peer serves it: the tokenizer, length-sorted batches and int8 graph that our service has.

Imports only what each peer's environment holds: numpy, tokenizers and onnxruntime.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from service.batching import plan_batches
from service.encoding import load_encoder

BUDGET = 512
"""Padded tokens in a batch, as our service has by default."""

BEST = 3
"""Labels in an answer, as our service gives by default."""


class Model:
    """One version, computed by one thread: the unit of scaling is a process a core."""

    def __init__(self, folder: Path) -> None:
        """Open the version in `folder`."""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.labels = [label["name"] for label in manifest["labels"]]
        self._temperature = float(manifest["temperature"])
        self._encoder = load_encoder(folder / "tokenizer.json", manifest["max_length"])
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            str(folder / "model.int8.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Any]]:
        """Run `texts` in batches of like length; yield positions in `texts` and their logits `(n, n_labels)`."""
        encodings = [self._encoder.encode(text) for text in texts]
        for batch in plan_batches([len(encoding.ids) for encoding in encodings], BUDGET):
            ids, mask = self._encoder.pad([encodings[position] for position in batch])
            # Our service needs the embedding too, for what is out of scope; a peer is spared even that.
            yield batch, self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]

    def classify(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the three best labels of each text with their probabilities."""
        answers: list[dict[str, Any]] = [{} for _ in texts]
        for batch, logits in self.logits(texts):
            scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / self._temperature)
            probabilities = scaled / scaled.sum(axis=1, keepdims=True)
            for position, row in zip(batch, probabilities, strict=True):
                answers[position] = self._answer(row)
        return answers

    def _answer(self, row: Any) -> dict[str, Any]:
        best = row.argsort()[::-1][:BEST].tolist()
        scores = [{"label": self.labels[one], "score": float(row[one])} for one in best]
        return {"label": scores[0]["label"], "confidence": scores[0]["score"], "scores": scores}


def load_model() -> Model:
    """Open the version that the harness names, and run it once: what is slow the first time is behind us."""
    model = Model(Path(os.environ["PEER_FOLDER"]))
    model.classify(["how do I get my money back", "hello"])
    return model


def port() -> int:
    """Return the port that the harness gives."""
    return int(os.environ["PEER_PORT"])


def workers() -> int:
    """Return how many processes to compute in: one a core."""
    return int(os.environ["PEER_WORKERS"])
