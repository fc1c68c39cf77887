"""The model in the form that `transformers` and Optimum load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

from service.artifact import INT8, TOKENIZER, WEIGHTS, read_manifest
from training.base import resolve_base


def write_hugging_face(version: Path, folder: Path) -> None:
    """Write into `folder` the int8 graph of `version` as Optimum names it, and its encoder for PyTorch.

    The PyTorch weights are the base encoder's with a head of random ones: as fast as trained ones, and no more is
    measured of them. A version keeps no PyTorch weights of its own.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it warns that the head is new
    manifest = read_manifest(version)
    labels = dict(enumerate(label.name for label in manifest.labels))
    model = AutoModelForSequenceClassification.from_pretrained(
        resolve_base(manifest.base.name).folder, num_labels=len(labels), id2label=labels
    )
    model.save_pretrained(folder)
    shutil.copyfile(version / INT8, folder / "model.onnx")
    if (version / WEIGHTS).exists():
        shutil.copyfile(version / WEIGHTS, folder / WEIGHTS)
    shutil.copyfile(version / TOKENIZER, folder / TOKENIZER)
    described = {
        "tokenizer_class": "BertTokenizerFast",
        "model_max_length": manifest.max_length,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")
