"""The scheduler: what is due is asked for once, and what waits is worked on, however many look."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from core.roles import Caller
from core.settings import Settings, load_settings
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, end_run, take_run
from feedback.runs import Run, find_run, list_runs, open_runs
from feedback.store import Store, open_store
from feedback.trial_figures import add_figures
from feedback.trials import open_trials
from tasks.catalogue import TaskFolder, find_task
from tests.support.scene import Scene
from tests.support.tiny import TASK
from tests.support.tried import put_on_trial
from training.scheduler import Scheduler

ROOT = Caller("root", "admin")


@pytest.fixture
def settings(tiny_home: Path, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    shutil.copytree(tiny_home, home)
    declaration = home / "tasks" / TASK / "task.toml"
    more = '[retrain]\nfast_after = 2\ncool_down_minutes = 60\n[review]\nstrategy = "expert"\ncheck_rate = 0.0\n'
    declaration.write_text(f"{declaration.read_text(encoding='utf-8')}\n{more}", encoding="utf-8")
    return load_settings(home=home, tasks=(TASK,))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with closing(open_store(settings.store_url)) as opened:
        yield opened


@pytest.fixture
def folder(settings: Settings) -> TaskFolder:
    return find_task(settings, TASK)


class Worked:
    """Works on runs by ending them; remembers which."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.runs: list[str] = []

    def __call__(self, _: TaskFolder, run: Run) -> None:
        holder = f"{threading.get_ident()}"
        if not take_lease(self._store, run.task, holder):
            return
        taken = take_run(self._store, run.task, holder)
        if taken is not None:
            self.runs.append(taken.id)
            end_run(self._store, taken, holder, "unchanged", "nothing new")
        free_lease(self._store, run.task, holder)


def review(store: Store, folder: TaskFolder, *texts: str) -> None:
    scene = Scene(store, folder.task)
    scene.bring(*texts)
    for held in scene.claim("ann").values():
        scene.answer("ann", held, "refund")


def test_what_somebody_asked_for(settings: Settings, store: Store) -> None:
    worked = Worked(store)
    scheduler = Scheduler(settings, store, worked)
    scheduler.look()
    assert worked.runs == []
    asked = ask_for_run(store, ROOT, TASK, "full", "request")
    elsewhere = ask_for_run(store, ROOT, "a-task-of-another-host", "full", "request")
    scheduler.look()
    assert worked.runs == [asked.id]
    assert [run.id for run in open_runs(store)] == [elsewhere.id]


def test_an_interrupted_run_comes_first(settings: Settings, store: Store) -> None:
    interrupted = ask_for_run(store, ROOT, TASK, "full", "request")
    take_lease(store, TASK, "dead")
    take_run(store, TASK, "dead")
    fast = ask_for_run(store, ROOT, TASK, "fast", "request")
    worked = Worked(store)
    scheduler = Scheduler(settings, store, worked)
    scheduler.look()
    assert worked.runs == [], "its process may still be alive"
    free_lease(store, TASK, "dead")
    scheduler.look()
    scheduler.look()
    assert worked.runs == [interrupted.id, fast.id]


def test_what_is_due_by_itself(settings: Settings, store: Store, folder: TaskFolder) -> None:
    worked = Worked(store)
    review(store, folder, "one")
    Scheduler(settings, store, worked).look()
    assert list_runs(store) == []
    review(store, folder, "two")
    Scheduler(settings, store, worked).look()
    (run,) = list_runs(store)
    assert (run.mode, run.trigger, run.asked_by, run.status) == (
        "fast",
        "new items",
        "regrade",
        "unchanged",
    )
    assert worked.runs == [run.id]
    review(store, folder, "three", "four")
    Scheduler(settings, store, worked).look()
    assert len(list_runs(store)) == 1, "it has not cooled down"


def test_however_many_look_a_trigger_counts_once(settings: Settings, store: Store, folder: TaskFolder) -> None:
    review(store, folder, "one", "two")
    worked = Worked(store)
    schedulers = [Scheduler(settings, store, worked) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda scheduler: scheduler.look(), schedulers))
    for scheduler in schedulers:
        scheduler.look()
    (run,) = list_runs(store)
    assert worked.runs == [run.id]
    assert run.attempts == 1


def test_what_is_on_trial_is_advanced_once_and_nothing_else_begins(
    settings: Settings, store: Store, folder: TaskFolder, tiny_versions: tuple[str, str]
) -> None:
    with (folder.folder / "task.toml").open("a", encoding="utf-8") as declaration:
        declaration.write("[trial]\ncanary_shares = [0.1, 0.2]\ncanary_minutes = 0\ncanary_texts = 5\n")
    trial = put_on_trial(store, TASK, tiny_versions[1], tiny_versions[0], "canary", 0.1)
    asked = ask_for_run(store, ROOT, TASK, "full", "request")
    review(store, folder, "one", "two")
    worked = Worked(store)

    def all_look() -> None:
        schedulers = [Scheduler(settings, store, worked) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda scheduler: scheduler.look(), schedulers))

    all_look()
    assert open_trials(store) == [trial], "nothing was seen of it yet"
    add_figures(store, {(trial.id, 1, "candidate", "texts"): 5, (trial.id, 1, "candidate", "requests"): 5})
    all_look()
    (now,) = open_trials(store)
    assert (now.id, now.share, now.step) == (trial.id, 0.2, 2), "one step up, not six"
    assert worked.runs == []
    add_figures(store, {(trial.id, 2, "candidate", "broken"): 1})
    all_look()
    assert open_trials(store) == []
    assert find_run(store, trial.run_id).status == "rejected"
    assert worked.runs == [asked.id]
    assert len(list_runs(store)) == 2, "what became due meanwhile waits until it has cooled down"


def test_it_goes_on_whatever_goes_wrong(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.scheduler._AFTER_FAILURE_S", 0.01)
    stop, tries = threading.Event(), []

    def fails(_: TaskFolder, run: Run) -> None:
        tries.append(run.id)
        if len(tries) == 3:
            stop.set()
        raise ZeroDivisionError

    asked = ask_for_run(store, ROOT, TASK, "full", "request")
    Scheduler(settings, store, fails).run(stop)
    assert tries == [asked.id] * 3
