"""Candidates on trial in a real service of two workers: who answers, what is counted, and that nobody is harmed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.roles import Caller
from core.settings import load_settings
from feedback.deployments import live_deployments
from feedback.runs import find_run
from feedback.schema import outbox, predictions
from feedback.store import Store, open_store
from feedback.trial_figures import BySide, SideFigures, read_figures
from feedback.trial_moves import cancel_run, promote_tried, raise_share
from feedback.trials import Trial, open_trials
from service.candidates import MOST_FAILURES, place_of
from tasks.catalogue import find_task
from tests.conftest import ENVIRONMENT
from tests.support.server import ROOT, Server, run_server, wait_until
from tests.support.tiny import ENDINGS, TASK, WORDS
from tests.support.tried import put_on_trial
from training.on_trial import Advance

TEXTS = [f"{text}{ending}" for texts in WORDS.values() for text in texts for ending in ENDINGS]
KEYS = [f"customer {number}" for number in range(120)]
PLAN = "[trial]\ncanary_shares = [0.3, 0.6]\ncanary_minutes = 0\ncanary_texts = 20\n"


@dataclass
class Place:
    """A service, its store, and its two versions: the live one and a candidate."""

    server: Server
    store: Store
    first: str
    second: str

    def begin(self, kind: Any, share: float, *, ready: bool = True) -> Trial:
        trial = put_on_trial(self.store, TASK, self.second, self.first, kind, share)
        if ready:
            wait_until(lambda: self.loaded() == {self.second})
        return trial

    def loaded(self) -> set[str | None]:
        """Return what the workers have on trial; each connection may reach another one."""
        found = set()
        for _ in range(8):
            with self.server.client() as client:
                found.add(client.get("/readyz").json().get("trials", {}).get(TASK))
        return found

    def end(self, trial: Trial) -> None:
        if trial.id in {one.id for one in open_trials(self.store)}:
            cancel_run(self.store, Caller("root", "admin"), trial.run_id)
        wait_until(lambda: self.loaded() == {None})

    def figures(self, trial: Trial) -> Mapping[int, BySide]:
        with self.store.read() as connection:
            return read_figures(connection, [trial.id]).get(trial.id, {})

    def side(self, trial: Trial, side: Any, step: int = 1) -> SideFigures:
        return self.figures(trial).get(step, {}).get(side, SideFigures())

    def recorded(self, ids: list[str]) -> dict[str, str]:
        """Return the version of each prediction that is recorded."""
        with self.store.read() as connection:
            wanted = select(predictions.c.id, predictions.c.version).where(predictions.c.id.in_(ids))
            return {row.id: row.version for row in connection.execute(wanted)}

    def advance(self) -> None:
        """Look at the trials, as a scheduler does."""
        Advance(self.store).all({TASK: find_task(load_settings(home=self.server.home), TASK)})

    def candidate(self) -> Path:
        """Return the candidate's folder."""
        return self.server.home / "bentoml" / "models" / TASK / self.second


def predict(client: httpx.Client, *texts: str, key: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"texts": list(texts), "top_k": 3}
    reply = client.post(f"/v1/tasks/{TASK}/predict", json=body | ({} if key is None else {"routing_key": key}))
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


@pytest.fixture(scope="module")
def place(tiny_home: Path, tiny_versions: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("trials")
    source = folder / "source"
    shutil.copytree(tiny_home, source)
    declaration = source / "tasks" / TASK / "task.toml"
    declaration.write_text(f"{declaration.read_text(encoding='utf-8')}\n{PLAN}", encoding="utf-8")
    with (
        run_server(source, folder / "server") as server,
        closing(open_store(load_settings(home=server.home).store_url)) as store,
    ):
        yield Place(server, store, *tiny_versions)


@pytest.fixture
def client(place: Place) -> Iterator[httpx.Client]:
    with place.server.client() as client:
        yield client


def test_a_canary_answers_its_share_and_stays_with_its_keys(place: Place, client: httpx.Client) -> None:
    trial = place.begin("canary", 0.3)

    def answers(share: float) -> dict[str, str]:
        return {key: place.second if place_of(trial.id, key) < share else place.first for key in KEYS}

    said = {key: predict(client, TEXTS[0], TEXTS[50], key=key) for key in KEYS}
    assert {key: told["model_version"] for key, told in said.items()} == answers(0.3)
    assert 0.15 < Counter(answers(0.3).values())[place.second] / len(KEYS) < 0.45
    assert {key: predict(client, TEXTS[1], key=key)["model_version"] for key in KEYS} == answers(0.3)
    without = Counter(predict(client, TEXTS[0])["model_version"] for _ in range(120))
    assert 0.15 < without[place.second] / 120 < 0.45

    ids = {one["id"]: told["model_version"] for told in said.values() for one in told["predictions"]}
    wait_until(lambda: len(place.recorded(list(ids))) == len(ids))
    assert place.recorded(list(ids)) == ids, "each is recorded with the version that gave it"
    sent = 3 * len(KEYS)
    wait_until(lambda: sum(place.side(trial, side).requests for side in ("candidate", "champion")) == sent)
    mine = place.side(trial, "candidate")
    assert mine.requests == 2 * Counter(answers(0.3).values())[place.second] + without[place.second]
    assert mine.errors == 0
    assert sum(mine.took) == mine.requests
    assert mine.mean_ms is not None

    assert raise_share(place.store, trial, 0.6)
    wait_until(lambda: {key: predict(client, TEXTS[2], key=key)["model_version"] for key in KEYS} == answers(0.6))
    assert client.get("/readyz").json()["tasks"] == {TASK: place.first}
    shown = client.get(f"/v1/runs/{trial.run_id}").json()
    assert (shown["status"], shown["state"]) == ("on_trial", "canary")
    (told,) = shown["trials"]
    assert (told["kind"], told["share"], told["step"], told["status"]) == ("canary", 0.6, 2, "open")
    assert told["candidate_side"]["requests"] >= mine.requests
    page = client.get(f"/app/tasks/{TASK}").text
    assert "Trial of the newest candidate" in page
    metrics = client.get("/metrics").text
    assert f'regrade_trial_share{{kind="canary",task="{TASK}"}}' in metrics
    cancelled = client.post(f"/v1/runs/{trial.run_id}/cancel", json={"reason": "seen enough"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert "seen enough" in cancelled.json()["message"]
    assert client.post(f"/v1/runs/{trial.run_id}/cancel", json={}).status_code == 409
    place.end(trial)
    assert {predict(client, TEXTS[0], key=key)["model_version"] for key in KEYS} == {place.first}


def test_a_shadow_changes_no_reply_and_is_counted(place: Place, client: httpx.Client) -> None:
    before = [predict(client, text)["predictions"][0]["scores"] for text in TEXTS[:40]]
    trial = place.begin("shadow", 1.0)
    said = [predict(client, text) for text in TEXTS[:40]]
    assert [told["predictions"][0]["scores"] for told in said] == before
    assert {told["model_version"] for told in said} == {place.first}
    wait_until(lambda: place.side(trial, "candidate").texts == 40)
    mine, other = place.side(trial, "candidate"), place.side(trial, "champion")
    assert (mine.errors, mine.dropped, mine.requests, sum(mine.took)) == (0, 0, 0, 40)
    assert 0 < mine.agreements <= 40
    assert (other.texts, sum(other.took)) == (40, 40)
    many = predict(client, *(TEXTS * 3)[:256])
    assert many["model_version"] == place.first
    wait_until(lambda: (now := place.side(trial, "candidate")).texts + now.dropped == 40 + 256)
    (told,) = client.get(f"/v1/runs/{trial.run_id}").json()["trials"]
    assert told["agreement"] is not None
    with place.store.read() as connection:
        versions = set(connection.scalars(select(predictions.c.version).where(predictions.c.id >= trial.id)))
    assert versions == {place.first}, "nothing of what it said is recorded"
    place.end(trial)


def break_word(folder: Path, word: str) -> None:
    """Let a version fail at every text that holds `word`: its token has no place in the graph's vocabulary."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"][word] = 100_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["tokenizer.json"] = sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | {"encoder": None}), encoding="utf-8")


def regrade(place: Place, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the job here and now, as cron would; return its exit code and the run."""
    home = place.server.home
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "REGRADE_HOME": str(home), "REGRADE_TASKS": TASK}
    command = [sys.executable, "-m", "regrade", "retrain", TASK, "--once", "--fast", "--json", *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_candidate_that_fails_harms_nobody(place: Place, client: httpx.Client, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(place.candidate(), kept)
    break_word(place.candidate(), "refund")
    trial = place.begin("canary", 0.5)
    said = [predict(client, "i want a refund", "where is my parcel", key=key) for key in KEYS]
    assert {told["model_version"] for told in said} == {place.first}, "the champion answers the whole request"
    wait_until(lambda: place.side(trial, "candidate").errors >= MOST_FAILURES)
    place.advance()
    tried = find_run(place.store, trial.run_id)
    assert tried.status == "rejected"
    assert "failed at" in tried.message
    with place.store.read() as connection:
        told = list(connection.scalars(select(outbox.c.payload).where(outbox.c.event == "alert.raised")))
    assert told[-1]["run_id"] == trial.run_id
    place.end(trial)
    shutil.rmtree(place.candidate())
    shutil.copytree(kept, place.candidate())


def test_one_that_cannot_be_loaded_is_refused(place: Place, client: httpx.Client) -> None:
    graph = place.candidate() / "model.int8.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + b"x")
    trial = place.begin("canary", 0.5, ready=False)
    wait_until(lambda: place.side(trial, "candidate").broken == 2)
    assert {predict(client, TEXTS[0], key=key)["model_version"] for key in KEYS} == {place.first}
    place.advance()
    tried = find_run(place.store, trial.run_id)
    assert (tried.status, "cannot be loaded" in tried.message) == ("rejected", True)
    graph.write_bytes(whole)


@pytest.mark.slow
def test_step_by_step_until_it_is_live(place: Place, client: httpx.Client) -> None:
    trial = place.begin("canary", 0.3)
    for share in (0.6, None):
        step = {run.id: run for run in open_trials(place.store)}[trial.id].step
        wait_until(lambda step=step: predict(client, TEXTS[0]) and place.side(trial, "candidate", step).texts >= 20)
        code, run = regrade(place)
        assert code == 0
        if share is not None:
            assert (run["run_id"], run["status"], run["trials"][0]["share"]) == (trial.run_id, "on_trial", share)
    assert find_run(place.store, trial.run_id).status == "promoted"
    assert live_deployments(place.store)[TASK].version == place.second
    wait_until(lambda: {predict(client, TEXTS[0])["model_version"] for _ in range(8)} == {place.second})
    place.first, place.second = place.second, place.first


def test_one_that_becomes_live_is_not_loaded_again(place: Place, client: httpx.Client) -> None:
    trial = place.begin("canary", 0.5)
    graph = place.candidate() / "model.int8.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    (now,) = open_trials(place.store)
    assert promote_tried(place.store, now, "no errors", lambda *_: None) is not None
    wait_until(lambda: set(_versions(place.server)) == {place.second})
    wait_until(lambda: place.loaded() == {None})
    assert {predict(client, TEXTS[0], key=key)["model_version"] for key in KEYS} == {place.second}
    assert find_run(place.store, trial.run_id).status == "promoted"


def _versions(server: Server) -> Iterator[str]:
    for _ in range(8):
        with server.client() as client:
            yield client.get("/readyz").json()["tasks"][TASK]


@given(st.text(max_size=50), st.text(max_size=50), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_as_shares_rise_who_is_in_stays_in(trial_id: str, key: str, shares: list[float]) -> None:
    place = place_of(trial_id, key)
    assert 0 <= place < 1
    inside = [place < share for share in sorted(shares)]
    assert inside == sorted(inside)
    assert place == place_of(trial_id, key)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.6])
def test_the_share_is_right(share: float) -> None:
    for trial in ("one", "another"):
        inside = sum(place_of(trial, f"customer {number}") < share for number in range(20_000))
        assert abs(inside / 20_000 - share) < 4 * (share * (1 - share) / 20_000) ** 0.5
    both = sum(place_of("one", str(n)) < share and place_of("another", str(n)) < share for n in range(20_000))
    assert abs(both / 20_000 - share**2) < 0.02, "it is not always the same customers"
