"""The scheduler keeps the queue in the order of the live version's doubt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.settings import Settings
from feedback.deployments import record_deployment
from feedback.reordering import read_waiting, reorder
from feedback.runs import Run
from feedback.store import Store, open_store
from service.classifier import load_classifier
from service.model_store import version_folder
from service.triage import urgency_under
from tasks.catalogue import TaskFolder, find_task
from tests.support.lent import lent_home
from tests.support.scene import Scene
from tests.support.tiny import TASK
from training.scheduler import Scheduler

TEXTS = ["reset the password now", "i want a refund 😡", "new password please thanks", "xyzzy plugh"]


@pytest.fixture
def place(settings: Settings, tiny_home: Path, tiny_versions: tuple[str, str], tmp_path: Path) -> Iterator[Settings]:
    with lent_home(settings, tiny_home, tiny_versions, tmp_path / "home") as lent:
        yield lent


@pytest.fixture
def store(place: Settings) -> Iterator[Store]:
    with closing(open_store(place.store_url)) as opened:
        yield opened


def no_work(folder: TaskFolder, run: Run) -> None:
    raise AssertionError(f"nothing is due, and yet {run.id} of {folder.task.name} was begun")


def by_doubt(version: str) -> list[str]:
    """Return the texts as the served model doubts them, the most doubtful first."""
    model = load_classifier(version_folder(TASK, version))
    scores = model.classify(TEXTS).scores
    urgency = {
        text: urgency_under(model.manifest, model.label_names[row.argmax()], float(row.max()), float(outside))
        for text, row, outside in zip(TEXTS, scores.probabilities, scores.out_of_scope, strict=True)
    }
    return sorted(TEXTS, key=lambda text: -urgency[text])


def doubt(place: Settings, store: Store) -> None:
    """Bring the texts to the queue, all doubted alike."""
    scene = Scene(store, find_task(place, TASK).task)
    for text in TEXTS:
        scene.predict(text)


def waiting(store: Store) -> list[str]:
    """Return the texts in the order of the queue."""
    return [one.text for one in read_waiting(store, TASK, 50)]


def disturb(store: Store, order: list[str]) -> list[str]:
    """Turn the queue round from an order, and return it as it is now."""
    items = read_waiting(store, TASK, 50)
    reorder(store, items, {one.item_id: order.index(one.text) / 10 for one in items})
    return waiting(store)


def test_each_live_version_brings_its_own_order(place: Settings, store: Store, tiny_versions: tuple[str, str]) -> None:
    live, other = tiny_versions
    doubt(place, store)
    scheduler = Scheduler(place, store, no_work)
    scheduler.look()
    assert waiting(store) == by_doubt(live)
    shuffled = disturb(store, by_doubt(other))
    scheduler.look()
    assert waiting(store) == shuffled, "a version that has judged the queue judged it again"
    record_deployment(store, TASK, other, "tried", "tests")
    scheduler.look()
    assert waiting(store) == by_doubt(other)


def test_a_version_that_is_not_there_leaves_the_queue_as_it_is(place: Settings, store: Store) -> None:
    doubt(place, store)
    before = waiting(store)
    record_deployment(store, TASK, "20200101-000000-000000", "gone", "tests")
    Scheduler(place, store, no_work).look()
    assert waiting(store) == before
