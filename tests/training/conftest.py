"""Tiny real parts: a random two-layer BERT as a local base encoder, and a task of three labels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.settings import Settings, load_settings
from tasks.catalogue import TaskFolder
from tasks.declaration import Label, Task, Training
from tests.support.tiny import ENDINGS, build_base
from tests.support.tiny import WORDS as TOPICS
from training.own_data import write_rows
from training.rows import Row


def make_rows(endings: list[str] = ENDINGS) -> list[Row]:
    texts = [(f"{text}{ending}", label) for label, texts in TOPICS.items() for text in texts for ending in endings]
    return [Row(text, label, line) for line, (text, label) in enumerate(texts, start=2)]


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "base"
    build_base(folder)
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
