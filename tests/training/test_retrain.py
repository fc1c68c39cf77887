"""The retraining job from end to end: what people said goes live if it proves itself, wherever the job was killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from core.errors import ConflictError
from core.roles import Caller
from core.settings import Settings, load_settings
from feedback.deployments import list_deployments, live_deployments
from feedback.run_leases import find_holder, lease_name, take_lease
from feedback.runs import find_run, list_runs, open_runs
from feedback.schema import duties, outbox
from feedback.store import Store, open_store
from feedback.trial_figures import add_figures
from feedback.trials import open_trials
from tasks.catalogue import TaskFolder, find_task
from tests.conftest import ENVIRONMENT
from tests.support.scene import Scene
from tests.support.server import ROOT
from tests.support.tiny import TASK

OPERATOR = Caller("cli:tests", "admin")
REVIEWED = {
    "the box has gone astray": "parcel",
    "my box is somewhere on its way": "parcel",
    "give me the cash back": "refund",
    "i want my cash": "refund",
    "cannot sign in any more": "password",
    "my sign in is broken": "password",
}
EASY = "[gate]\nmargin = 0.5\nnegative_flips = 1.0\nlatency = 1000.0\nparity = 0.0\nancestor_margin = 0.5\n"
"""A gate for a gold set of 15 rows, and for a machine that does other things too."""


@dataclass
class Place:
    """A home with the tiny task, whose gate is easy, and six reviewed items."""

    home: Path
    settings: Settings
    store: Store
    folder: TaskFolder
    first: str

    @property
    def live(self) -> str:
        return live_deployments(self.store)[TASK].version

    def kept(self) -> set[str]:
        """Return the versions in the model store that are whole."""
        found = (self.home / "bentoml" / "models" / TASK).iterdir()
        return {one.name for one in found if (one / "manifest.json").exists()}

    def let_expire(self) -> None:
        """Let the lease of a process that died be over."""
        with self.store.write() as connection:
            past = self.store.now(connection) - timedelta(seconds=1)
            connection.execute(update(duties).where(duties.c.name == lease_name(TASK)).values(until=past))

    def events(self, name: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            wanted = select(outbox.c.payload).where(outbox.c.event == name).order_by(outbox.c.id)
            return list(connection.scalars(wanted))

    def regrade(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this home."""
        environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(self.home), "REGRADE_TASKS": TASK}
        return subprocess.run(
            [sys.executable, "-m", "regrade", *arguments],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def retrain(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Run the job here and now; return its exit code and the run."""
        done = self.regrade("retrain", TASK, "--once", "--json", *options)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def review(store: Store, folder: TaskFolder, answers: Mapping[str, str]) -> None:
    """Have texts brought and answered."""
    scene = Scene(store, folder.task)
    scene.bring(*answers)
    for text, held in scene.claim("ann").items():
        scene.answer("ann", held, answers[text])


def make_place(tiny_home: Path, home: Path, gate: str = EASY) -> Place:
    shutil.copytree(tiny_home, home)
    declaration = home / "tasks" / TASK / "task.toml"
    more = f'{gate}[review]\nstrategy = "expert"\ncheck_rate = 0.0\nhide_suggestions = 0.0\n'
    declaration.write_text(f"{declaration.read_text(encoding='utf-8')}\n{more}", encoding="utf-8")
    settings = load_settings(home=home, tasks=(TASK,))
    store, folder = open_store(settings.store_url), find_task(settings, TASK)
    review(store, folder, REVIEWED)
    return Place(home, settings, store, folder, live_deployments(store)[TASK].version)


@pytest.fixture
def place(tiny_home: Path, tmp_path: Path) -> Iterator[Place]:
    made = make_place(tiny_home, tmp_path / "home")
    with closing(made.store):
        yield made


@pytest.mark.parametrize("option", ["--fast", pytest.param("--full", marks=pytest.mark.slow)])
def test_what_people_said_goes_live(place: Place, option: str) -> None:
    code, run = place.retrain(*([option] if option == "--fast" else []))
    assert (code, run["status"]) == (0, "promoted"), run
    assert place.live == run["version"] != place.first
    assert (run["champion"], run["state"], run["attempts"]) == (place.first, "done", 1)
    assert run["gate"]["decision"] == "pass"
    assert run["figures"]["reviewed"] == len(REVIEWED)
    (promoted,) = [one for one in place.events("model.promoted") if one["how"] == "gate"]
    assert (promoted["version"], promoted["previous"], promoted["run_id"]) == (
        run["version"],
        place.first,
        run["run_id"],
    )
    report = (place.home / run["figures"]["report"]).read_text(encoding="utf-8")
    for told in (run["version"], place.first, "Gate by gate", "Label by label", run["gate"]["checks"][0]["message"]):
        assert told in report
    assert find_holder(place.store, TASK) is None

    code, again = place.retrain("--fast")
    assert (code, again["status"]) == (0, "unchanged")
    assert place.live == run["version"]
    assert len(place.kept()) == 3
    shown = place.regrade("runs", "show", run["run_id"])
    assert "accuracy" in shown.stdout
    listed = json.loads(place.regrade("models", "list", TASK, "--json").stdout)["versions"]
    by_version = {one["version"]: one["gate"] for one in listed}
    assert by_version[run["version"]]["run_id"] == run["run_id"]


@pytest.mark.slow
def test_only_judged(place: Place) -> None:
    code, run = place.retrain("--fast", "--no-promote")
    assert (code, run["status"]) == (0, "passed"), run
    assert place.live == place.first
    assert place.regrade("promote", TASK, run["version"]).returncode == 0
    assert place.live == run["version"]
    assert place.regrade("rollback", TASK).returncode == 0
    code, again = place.retrain("--fast")
    assert (code, again["status"]) == (0, "unchanged"), "what somebody took back does not come back by itself"
    assert place.live == place.first


def test_nothing_reviewed_is_nothing_new(tiny_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(tiny_home, home)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(home), "REGRADE_TASKS": TASK}
    command = [sys.executable, "-m", "regrade", "retrain", TASK, "--once", "--fast", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "unchanged"


@pytest.mark.slow
def test_what_does_not_prove_itself_stays_aside(tiny_home: Path, tmp_path: Path) -> None:
    place = make_place(tiny_home, tmp_path / "home", '[gate]\ntest = "superiority"\nsmall_gold = 0\nlatency = 1000.0\n')
    with closing(place.store):
        code, run = place.retrain("--fast")
        assert code == 3
        assert run["status"] in {"rejected", "inconclusive"}
        assert run["message"]
        assert place.live == place.first
        assert len(list_deployments(place.store, TASK)) == 1
        assert place.regrade("promote", TASK, run["version"]).returncode == 1


def test_a_step_that_fails_is_loud(place: Place) -> None:
    graph = place.home / "bentoml" / "models" / TASK / place.first / "model.int8.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    code, said = place.retrain("--fast")
    assert code == 1
    (run,) = list_runs(place.store)
    assert run.status == "failed"
    assert run.message
    assert "model.int8.onnx" in said["error"]
    (alert,) = place.events("alert.raised")
    assert (alert["alert"], alert["run_id"]) == ("run.failed", run.id)
    assert place.live == place.first
    assert find_holder(place.store, TASK) is None


def test_another_process_at_work(place: Place) -> None:
    from training.heartbeat import working_on

    with working_on(place.store, TASK):
        code, said = place.retrain("--fast")
        assert code == 1
        assert "another process" in said["error"]
        with pytest.raises(ConflictError), working_on(place.store, TASK, wait=False):
            pass
    assert list_runs(place.store) == []


@pytest.mark.slow
def test_a_champion_that_changes_meanwhile(place: Place, tiny_versions: tuple[str, str]) -> None:
    script = (
        "import training.retrain as job\n"
        "from feedback.deployments import record_deployment\n"
        "real, times = job.promote_run, []\n"
        "def promote_run(store, run, *more):\n"
        "    if not times:\n"
        f"        record_deployment(store, {TASK!r}, {tiny_versions[1]!r}, 'by hand', 'tests')\n"
        "    times.append(run)\n"
        "    return real(store, run, *more)\n"
        "job.promote_run = promote_run\n"
    )
    code = in_process(place, script)
    (run,) = list_runs(place.store)
    assert code == 0, run
    assert run.champion == tiny_versions[1], "it was judged again, against the new one"
    assert run.status == "promoted"
    assert [one.version for one in list_deployments(place.store, TASK)] == [run.version, tiny_versions[1], place.first]


STEPS = {
    "snapshot": ["take_snapshot"],
    "learn": ["learn_candidate", "keep_pair"],
    "gate": ["gather_evidence", "write_run_report"],
    "promote": ["promote_run"],
}
"""What each step calls; a process that dies before or after each leaves the run in that step, or the next."""


def in_process(place: Place, script: str) -> int:
    """Run the job in a process that runs `script` before; return how it ended."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "BENTOML_HOME": str(place.home / "bentoml")}
    run = (
        "from pathlib import Path\n"
        "from core.roles import Caller\nfrom core.settings import load_settings\n"
        "from feedback.store import open_store\nfrom tasks.catalogue import find_task\n"
        f"settings = load_settings(home=Path({str(place.home)!r}), tasks=({TASK!r},))\n"
        "store = open_store(settings.store_url)\n"
        "job.retrain(settings, store, Caller('tests', 'admin'), find_task(settings, "
        f"{TASK!r}), job.Asked('fast'), shown=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", script + run], env=environment, capture_output=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()[-3000:]
    return done.returncode


def killing(name: str, when: str, module: str = "training.retrain") -> str:
    """Return a script after which the process dies before or after it calls `name`, as `module` knows it."""
    body = {
        "before": "    os.kill(os.getpid(), signal.SIGKILL)\n",
        "after": "    real(*positional, **named)\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    }
    return (
        f"import os, signal\nimport training.retrain as job\nimport {module} as known\n"
        f"real = known.{name}\n"
        f"def dies(*positional, **named):\n{body[when]}"
        f"known.{name} = dies\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_the_next_ends_well(place: Place, step: str, when: str) -> None:
    before = place.kept()
    for name in STEPS[step]:
        assert in_process(place, killing(name, when)) == -signal.SIGKILL
        left = list_runs(place.store)[0]
        if (step, when) == ("promote", "after"):
            assert left.status == "promoted"
            assert place.live == left.version
            return
        assert (left.status, left.state) == ("running", step)
        assert place.live == place.first, "nothing half is live"
        assert [one["how"] for one in place.events("model.promoted")] == ["first"]
        place.let_expire()
    code, run = place.retrain("--fast")
    assert (code, run["status"]) == (0, "promoted"), run
    assert run["attempts"] == len(STEPS[step]) + 1
    assert len(list_runs(place.store)) == 1
    assert place.live == run["version"]
    assert place.kept() - before == {run["version"]}, "no half version, and none twice"
    assert len(list_deployments(place.store, TASK)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_a_trial_ends_well(tiny_home: Path, tmp_path: Path, when: str) -> None:
    plan = "[trial]\ncanary_shares = [0.5]\ncanary_minutes = 0\ncanary_texts = 10\n"
    place = make_place(tiny_home, tmp_path / "home", EASY + plan)
    with closing(place.store):
        assert in_process(place, killing("begin_trial", when)) == -signal.SIGKILL
        assert len(open_trials(place.store)) == (when == "after")
        place.let_expire()
        code, run = place.retrain("--fast")
        assert (code, run["status"], run["state"]) == (0, "on_trial", "canary"), run
        assert place.live == place.first
        code, again = place.retrain("--fast")
        assert (code, again["run_id"], again["status"]) == (0, run["run_id"], "on_trial"), "it waits for texts"

        (trial,) = open_trials(place.store)
        add_figures(place.store, {(trial.id, 1, "candidate", "texts"): 10, (trial.id, 1, "candidate", "requests"): 10})
        assert in_process(place, killing("promote_tried", when, "training.on_trial")) == -signal.SIGKILL
        assert place.live == (run["version"] if when == "after" else place.first)
        assert len(open_trials(place.store)) == (when == "before")
        code, after = place.retrain("--fast")
        assert (code, after["status"]) == (0, "unchanged"), "the trial is over, and there is nothing new"
        assert place.live == run["version"]
        assert find_run(place.store, run["run_id"]).status == "promoted"
        assert [one["how"] for one in place.events("model.promoted")] == ["first", "gate"]
        assert "canary" in place.regrade("runs", "show", run["run_id"]).stdout


@pytest.mark.slow
def test_a_run_that_processes_die_of_is_given_up(place: Place) -> None:
    for _ in range(4):
        assert in_process(place, killing("learn_candidate", "before")) == -signal.SIGKILL
        place.let_expire()
    code, said = place.retrain("--fast")
    assert code == 1
    assert "given up" in said["error"]
    (run,) = list_runs(place.store)
    assert run.status == "failed"


@pytest.mark.slow
def test_terminated_it_lets_go_at_once(place: Place) -> None:
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(place.home), "REGRADE_TASKS": TASK}
    command = [sys.executable, "-m", "regrade", "retrain", TASK, "--once", "--fast"]
    process = subprocess.Popen(command, env=environment, cwd=place.home, stderr=subprocess.DEVNULL)
    while "running" not in {run.status for run in open_runs(place.store, TASK)}:
        assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    (run,) = list_runs(place.store)
    assert run.status == "running"
    assert find_holder(place.store, TASK) is None
    code, told = place.retrain("--fast")
    assert (code, told["run_id"]) == (0, run.id)


@pytest.mark.slow
def test_somebody_who_waits_finds_a_silent_holder(place: Place) -> None:
    assert take_lease(place.store, TASK, "a process that died")
    code, run = place.retrain("--fast")
    assert (code, run["status"]) == (0, "promoted")
