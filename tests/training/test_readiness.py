"""Tasks are got ready for fast runs while nothing else waits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.roles import Caller
from core.settings import Settings
from feedback.deployments import live_deployments
from feedback.run_queue import ask_for_run
from feedback.store import Store, open_store
from tasks.catalogue import TaskFolder, find_task
from tests.support.lent import lent_home
from tests.support.tiny import TASK
from training.champion import Champion, open_champion
from training.readiness import Readiness
from training.snapshot_sources import read_material

ROOT = Caller("root", "admin")


@pytest.fixture
def settings(settings: Settings, tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path) -> Iterator[Settings]:
    with lent_home(settings, tiny_home, tiny_versions, tmp_path / "home") as lent:
        yield lent


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with closing(open_store(settings.store_url)) as opened:
        yield opened


@pytest.fixture
def folder(settings: Settings) -> TaskFolder:
    return find_task(settings, TASK)


def kept_files(settings: Settings) -> set[str]:
    """Return the folders of the cache that hold something."""
    return {path.relative_to(settings.home / "cache").parts[0] for path in (settings.home / "cache").rglob("*.np?")}


def champion_of(settings: Settings, store: Store, folder: TaskFolder) -> Champion:
    return open_champion(settings, folder.task, live_deployments(store)[TASK].version)


def test_what_a_fast_run_needs_is_there_before_it(settings: Settings, store: Store, folder: TaskFolder) -> None:
    Readiness(settings, store, lambda: False).keep({TASK: folder})
    material = read_material(store, folder)
    texts = [*(row.text for row in material.base), *material.gold_texts]
    known, _ = champion_of(settings, store, folder).cache.find(texts)
    assert {texts[position] for position in known} == set(texts)
    assert {"embeddings", "gold", "groups", "twins"} <= kept_files(settings)


def test_runs_that_wait_go_first(settings: Settings, store: Store, folder: TaskFolder) -> None:
    waiting = [True]
    readiness = Readiness(settings, store, lambda: waiting[0])
    readiness.keep({TASK: folder})
    assert kept_files(settings) == set()
    waiting[0] = False
    readiness.keep({TASK: folder})
    assert "embeddings" in kept_files(settings)


def test_a_task_is_got_ready_once(settings: Settings, store: Store, folder: TaskFolder) -> None:
    readiness = Readiness(settings, store, lambda: False)
    readiness.keep({TASK: folder})
    shutil.rmtree(settings.home / "cache")
    readiness.keep({TASK: folder})
    assert not (settings.home / "cache").exists()
    with folder.train_file.open("a", encoding="utf-8") as file:
        file.write("is my parcel on a boat,parcel\n")
    readiness.keep({TASK: folder})
    assert "embeddings" in kept_files(settings)


def test_what_cannot_be_got_ready_is_left_to_the_run(settings: Settings, store: Store, folder: TaskFolder) -> None:
    folder.train_file.write_bytes(b"\xff\xfe nothing that can be read")
    Readiness(settings, store, lambda: False).keep({TASK: folder})
    assert ask_for_run(store, ROOT, TASK, "fast", "command").status == "queued"
