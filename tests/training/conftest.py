"""Tiny real parts: a random two-layer BERT as a local base encoder, and a task of three labels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.settings import Settings, load_settings
from tasks.catalogue import TaskFolder
from tasks.declaration import Label, Task, Training
from training.own_data import write_rows
from training.rows import Row

TOPICS = {
    "parcel": ["where is my parcel", "the parcel is late", "parcel has not come", "track my box", "lost package"],
    "refund": ["i want a refund", "give my money back", "money please", "when is the refund due", "no refund yet"],
    "password": ["forgot my password", "reset the login", "link is broken", "new password please", "cannot sign in"],
}
ENDINGS = ["", " today", " now", " thanks", " again", " for order 17", " really", " at once"]


def make_rows(endings: list[str] = ENDINGS) -> list[Row]:
    texts = [(f"{text}{ending}", label) for label, texts in TOPICS.items() for text in texts for ending in endings]
    return [Row(text, label, line) for line, (text, label) in enumerate(texts, start=2)]


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, set_seed

    folder = tmp_path_factory.mktemp("base")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789"),
    )
    tokenizer.train_from_iterator([row.text for row in make_rows()], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    set_seed(1)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, **shape)
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def task(base_folder: Path) -> Task:
    return Task(
        name="tiny-intent",
        base=str(base_folder),
        max_length=32,
        labels=[Label(id=number, name=name) for number, name in enumerate(TOPICS, start=1)],
        training=Training(epochs=3, batch_size=16, learning_rate=1e-3),
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    # BentoML reads this once a process, when its store is first used; versions of this session may share it.
    os.environ.setdefault("BENTOML_HOME", str(home / "bentoml"))
    return load_settings(home=home)


@pytest.fixture(scope="session")
def folder(settings: Settings, task: Task) -> TaskFolder:
    place = settings.own_tasks / task.name
    place.mkdir(parents=True)
    outside = [Row(f"the {word} is lovely weather", "out_of_scope") for word in ("sun", "rain", "snow", "wind", "hail")]
    write_rows(place / "train.csv", [*make_rows(), *outside, Row("who knows", "mystery")])
    gold = make_rows([" dear shop of mine"])
    write_rows(place / "gold.csv", [*gold, Row("such a blue sky over the hills", "out_of_scope")])
    return TaskFolder(task, place)


@pytest.fixture(scope="session")
def tiny_rows() -> list[Row]:
    return make_rows()
