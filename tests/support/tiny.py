"""Builds what most tests stand on: a REGRADE_HOME with a tiny task, trained for real, in a few seconds.

Run as a process of its own, because BentoML reads `BENTOML_HOME` once: `python -m tests.support.tiny HOME`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

TASK = "tiny-intent"
WORDS = {
    "parcel": ["where is my parcel", "the parcel is late", "parcel has not come", "track my parcel", "lost parcel"],
    "refund": ["i want a refund", "refund my money", "money back please", "when is my refund due", "refund not here"],
    "password": [
        "forgot my password",
        "reset the password",
        "password link broken",
        "new password please",
        "no password",
    ],
}
"""Five openings a label; with the endings they make the training rows."""
ENDINGS = ["", " today", " now", " thanks", " again", " for order 17", " 😡", " 谢谢"]

TOML = """
name = "{task}"
title = "Tiny intent"
base = "{base}"
max_length = 32
{labels}
[training]
epochs = 2
batch_size = 16
"""


def build_base(folder: Path) -> None:
    """Write a random two-layer BERT and a word-piece tokenizer as a local base encoder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, set_seed

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = list("abcdefghijklmnopqrstuvwxyz0123456789")
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([text for texts in WORDS.values() for text in texts], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    set_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)


def build_task(folder: Path, base: Path) -> None:
    """Write the task folder: declaration, guideline, training and gold rows."""
    folder.mkdir(parents=True)
    labels = "".join(f'[[labels]]\nid = {number}\nname = "{name}"\n' for number, name in enumerate(WORDS, 1))
    (folder / "task.toml").write_text(TOML.format(task=TASK, base=base, labels=labels), encoding="utf-8")
    (folder / "guideline.md").write_text("# Tiny\n", encoding="utf-8")
    rows = [(f"{text}{ending}", name) for name, texts in WORDS.items() for text in texts for ending in ENDINGS]
    gold = [(f"{text} dear shop", name) for name, texts in WORDS.items() for text in texts]
    outside = [(f"{text} is lovely weather", "out_of_scope") for text in ("sun", "rain", "snow", "wind", "hail")]
    for name, content in (("train.csv", rows + outside), ("gold.csv", gold)):
        lines = "".join(f'"{text}",{label}\n' for text, label in content)
        (folder / name).write_text(f"text,label\n{lines}", encoding="utf-8")


def main() -> None:
    """Build the home: two versions, the first of them live."""
    home = Path(sys.argv[1])
    os.environ["BENTOML_HOME"] = str(home / "bentoml")
    from core.settings import load_settings
    from feedback.deployments import record_first_deployment
    from feedback.store import open_store
    from tasks.catalogue import find_task
    from training.train import train

    settings = load_settings(home=home)
    base = home / "base"
    build_base(base)
    build_task(settings.own_tasks / TASK, base)
    folder = find_task(settings, TASK)
    first = train(settings, folder, quick=True, shown=False)
    second = train(settings, folder, quick=False, shown=False)
    store = open_store(settings.store_url)
    record_first_deployment(store, TASK, first.manifest.version, "first version", "tests")
    (home / "versions.txt").write_text(f"{first.manifest.version}\n{second.manifest.version}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
