"""The watch of live versions: a bad one is taken back, people are not overruled, and drift is told of."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from core.ids import first_id, new_id
from core.settings import Settings, load_settings
from feedback.deployments import (
    Deployment,
    How,
    add_deployment,
    list_deployments,
    live_deployments,
    lock_deployments,
)
from feedback.promotion import promote_run
from feedback.recording import record
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, move_run, take_run
from feedback.runs import list_runs
from feedback.schema import deployments, outbox, watches
from feedback.store import Store, open_store
from feedback.watches import Watched, read_watch
from tasks.catalogue import find_task
from tasks.declaration import Task
from tests.conftest import ENVIRONMENT
from tests.support.predicted import predicted
from tests.support.scene import ROOT, Scene
from tests.support.server import ROOT as CHECKOUT
from tests.support.server import Server, run_server, wait_until
from tests.support.tiny import ENDINGS, TASK, WORDS
from training.scheduler import Scheduler
from training.watchman import Watchman

MORE = """
[triage]
audit = 1.0
[review]
strategy = "expert"
check_rate = 0.0
hide_suggestions = 0.0
[retrain]
fast_after = 0
drift_above = 0.25
cool_down_minutes = 0
[watch]
drift_texts = 300
"""
DAY = timedelta(days=1)


@dataclass
class Place:
    """A home with the tiny task, all of whose predictions are reviewed."""

    settings: Settings
    store: Store
    task: Task

    @property
    def live(self) -> Deployment:
        return live_deployments(self.store)[TASK]

    @property
    def watched(self) -> Watched | None:
        with self.store.read() as connection:
            kept = read_watch(connection, TASK)
        return kept.watched if kept else None

    def alerts(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            wanted = select(outbox.c.payload).where(outbox.c.event == "alert.raised").order_by(outbox.c.id)
            return list(connection.scalars(wanted))

    def deploy(self, version: str, how: How, ago: timedelta = timedelta(0)) -> None:
        with self.store.write() as connection:
            lock_deployments(self.store, connection, TASK)
            made = Deployment(0, TASK, version, "", "tests", datetime.now(UTC) - ago)
            add_deployment(connection, made, how)

    def promote_by_run(self, version: str) -> None:
        """Let a run have made `version`, which its gate passed, live."""
        champion = self.live.version
        ask_for_run(self.store, ROOT, TASK, "full", "request")
        assert take_lease(self.store, TASK, "tests")
        run = take_run(self.store, TASK, "tests")
        assert run is not None
        gate = {"decision": "pass", "reasons": []}
        judged = move_run(self.store, run, "tests", "promote", version=version, champion=champion, gate=gate)
        assert promote_run(self.store, judged, "tests", lambda *_: None, "") is not None
        free_lease(self.store, TASK, "tests")

    def be_reviewed(self, version: str, n: int, *, right: bool) -> None:
        scene = Scene(self.store, self.task)
        for number in range(n):
            scene.predict(f"{version} {number} {new_id()}", version=version)
        for held in scene.claim("ann", n).values():
            scene.answer("ann", held, "parcel" if right else "refund")


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "given"
    shutil.copytree(tiny_home, copy)
    declaration = copy / "tasks" / TASK / "task.toml"
    declaration.write_text(f"{declaration.read_text(encoding='utf-8')}{MORE}", encoding="utf-8")
    return copy


@contextmanager
def opened(home: Path) -> Iterator[Place]:
    settings = load_settings(home=home, tasks=(TASK,))
    with closing(open_store(settings.store_url)) as store:
        yield Place(settings, store, find_task(settings, TASK).task)


@pytest.fixture
def place(home: Path) -> Iterator[Place]:
    with opened(home) as made:
        yield made


def look(place: Place) -> None:
    """Let two watchmen look at once, and again."""
    for _ in range(2):
        watchmen = [Watchman(place.settings, place.store) for _ in range(2)]
        threads = [threading.Thread(target=watchman.look_at, args=(place.task,)) for watchman in watchmen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("how", ["forced", "trained", "rollback"])
def test_what_a_person_decided_is_told_of_and_stays(place: Place, how: How) -> None:
    place.be_reviewed(place.live.version, 40, right=True)
    place.deploy("v2", how)
    place.be_reviewed("v2", 40, right=False)
    look(place)
    assert place.live.version == "v2"
    (alert,) = place.alerts()
    assert (alert["alert"], alert["version"], alert["accuracy"]) == ("watch.worse", "v2", 0.0)
    assert place.watched is not None
    assert place.watched.worse is not None
    assert "0.0% of its answers are right, after 100.0%" in place.watched.worse


def test_what_cannot_be_gone_back_to_is_told(place: Place) -> None:
    place.deploy("v1", "first")
    place.be_reviewed("v1", 40, right=True)
    place.promote_by_run("v2")
    place.be_reviewed("v2", 40, right=False)
    look(place)
    assert place.live.version == "v2"
    (alert,) = place.alerts()
    assert alert["alert"] == "watch.worse"
    assert place.watched is not None
    assert "cannot be taken back: no version 'v1'" in str(place.watched.worse)


def test_a_version_that_does_well_stays_and_is_held_against_the_other(place: Place) -> None:
    first = place.live.version
    place.be_reviewed(first, 40, right=True)
    place.promote_by_run("v2")
    place.be_reviewed("v2", 40, right=True)
    look(place)
    watched = place.watched
    assert watched is not None
    assert (watched.version, watched.before, watched.returns, watched.worse) == ("v2", first, True, None)
    assert watched.until == place.live.created_at + timedelta(hours=48)
    (found,) = watched.comparisons
    assert (found.measure, found.number, found.n, found.now, found.before) == ("accuracy", 1, 40, 1.0, 1.0)
    assert watched.accuracy is not None
    assert watched.accuracy.estimate == 1.0
    assert place.alerts() == []


def test_after_the_time_nothing_is_taken_back(place: Place) -> None:
    place.be_reviewed(place.live.version, 40, right=True)
    place.promote_by_run("v2")
    place.be_reviewed("v2", 40, right=False)
    with place.store.write() as connection:
        connection.execute(
            update(deployments)
            .where(deployments.c.version == "v2")
            .values(created_at=datetime.now(UTC) - timedelta(hours=49))
        )
    look(place)
    assert place.live.version == "v2"
    assert place.watched is not None
    assert (place.watched.worse, place.watched.comparisons, place.alerts()) == (None, [], [])


def test_looks_have_their_time(place: Place) -> None:
    watchman = Watchman(place.settings, place.store)
    watchman.look()
    with place.store.read() as connection:
        (first,) = connection.scalars(select(watches.c.step))
    Watchman(place.settings, place.store).look()
    with place.store.read() as connection:
        assert list(connection.scalars(select(watches.c.step))) == [first], "another process has just looked"
    with place.store.write() as connection:
        connection.execute(update(watches).values(computed_at=datetime.now(UTC) - timedelta(minutes=11)))
    Watchman(place.settings, place.store).look()
    with place.store.read() as connection:
        assert list(connection.scalars(select(watches.c.step))) == [first + 1]


def traffic(place: Place, topic: str, label: str, start: datetime, n: int = 350) -> None:
    """Record predictions of one topic over two days."""
    texts = [f"{text}{ending} {number}" for number in range(9) for text in WORDS[topic] for ending in ENDINGS][:n]
    recordings = []
    for number, text in enumerate(texts):
        at = start + number * 2 * DAY / n
        own = first_id(at)[:-12] + f"{number:012x}"
        one = predicted(text, None, at, task=TASK, version=place.live.version, label=label, inclusion=0.02)
        recordings.append(replace(one, id=own, text=replace(one.text, id=own)))
    with place.store.write() as connection:
        record(place.store, connection, recordings)


@contextmanager
def scheduling(home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a scheduler, a process of its own, until the block ends; it must end well."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(CHECKOUT), "REGRADE_HOME": str(home), "REGRADE_TASKS": TASK}
    command = [sys.executable, "-m", "regrade", "scheduler"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()


def test_drift_of_labels_and_texts_is_told_once(home: Path, tmp_path: Path) -> None:
    with opened(home) as place:
        now = datetime.now(UTC)
        with place.store.write() as connection:
            connection.execute(update(deployments).values(created_at=now - 6 * DAY))
        traffic(place, "parcel", "parcel", now - 6 * DAY)
        traffic(place, "password", "password", now - 2 * DAY)
        with scheduling(home, tmp_path / "log"):
            wait_until(lambda: place.watched is not None and place.watched.texts_at is not None, 240)
        watched = place.watched
        assert watched is not None
        assert {one.aspect: one.verdict for one in watched.shifts} == {
            "labels": "shifted",
            "confidence": "steady",
            "texts": "shifted",
        }
        assert watched.drifted_at is not None
        (alert,) = place.alerts()
        assert (alert["alert"], set(alert)) == (
            "traffic.shifted",
            {"alert", "version", "labels", "confidence", "texts"},
        )
        look(place)
        assert len(place.alerts()) == 1
        scheduler = Scheduler(place.settings, place.store, lambda *_: None)
        assert scheduler.ask_if_due(find_task(place.settings, TASK)) is None, "nobody has reviewed anything new"
        Scene(place.store, place.task).bring("my parcel")
        for held in Scene(place.store, place.task).claim("ann").values():
            Scene(place.store, place.task).answer("ann", held, "parcel")
        scheduler.ask_if_due(find_task(place.settings, TASK))
        (run,) = list_runs(place.store)
        assert (run.mode, run.trigger) == ("full", "drift")


def answer_over_http(server: Server, n: int, *, right: bool) -> str:
    """Have `n` texts judged and answered over HTTP; return the version that judged them."""
    with server.client() as client:
        texts = [f"{text} {new_id()[-6:]}" for topic in WORDS.values() for text in topic][:n]
        reply = client.post(f"/v1/tasks/{TASK}/predict", json={"texts": texts})
        assert reply.status_code == 200, reply.text
        said = {one["review"]["item_id"]: one["label"] for one in reply.json()["predictions"]}
        headers = {"X-Regrade-Annotator": "ann"}
        claimed = client.post(f"/v1/queue/{TASK}/claim", json={"count": 50}, headers=headers).json()["items"]
        assert {item["item_id"] for item in claimed} >= set(said)
        for item in claimed:
            label = said[item["item_id"]]
            other = next(name for name in WORDS if name != label)
            answer = {"lease_token": item["lease_token"], "label": label if right else other}
            path = f"/v1/queue/items/{item['item_id']}/answer"
            assert client.post(path, json=answer, headers=headers).status_code == 201
        return str(reply.json()["model_version"])


@pytest.mark.slow
def test_a_worse_version_is_taken_back_by_one_of_two_schedulers(
    home: Path, tmp_path: Path, tiny_versions: tuple[str, str]
) -> None:
    first, second = tiny_versions
    with run_server(home, tmp_path / "served", workers=1) as server, opened(server.home) as place:
        for _ in range(3):
            assert answer_over_http(server, 15, right=True) == first
        place.promote_by_run(second)
        wait_until(lambda: second in httpx.get(f"{server.url}/readyz", timeout=30).json()["tasks"].values())
        for _ in range(3):
            assert answer_over_http(server, 15, right=False) == second
        with scheduling(server.home, tmp_path / "one"), scheduling(server.home, tmp_path / "two"):
            wait_until(lambda: place.live.version == first, 240)  # schedulers begin with seconds of imports
            wait_until(lambda: first in httpx.get(f"{server.url}/readyz", timeout=30).json()["tasks"].values())
        history = list_deployments(place.store, TASK)
        assert [(one.version, one.how) for one in history] == [(first, "watch"), (second, "gate"), (first, "first")]
        assert history[0].actor == "regrade"
        (alert,) = place.alerts()
        assert (alert["alert"], alert["version"], alert["before"]) == ("watch.rolled_back", second, first)
        assert alert["accuracy_before"] - alert["accuracy"] > 0.9
        shown = httpx.get(f"{server.url}/v1/models/{TASK}", timeout=30).json()
        assert shown["live_version"] == first
        assert {one["version"]: one["taken_back"] is not None for one in shown["versions"]} == {
            first: False,
            second: True,
        }
        assert "of its answers are right, after" in httpx.get(f"{server.url}/app/tasks/{TASK}", timeout=30).text
        metrics = httpx.get(f"{server.url}/metrics", timeout=30).text
        assert f'regrade_versions_taken_back{{task="{TASK}"}} 1.0' in metrics
