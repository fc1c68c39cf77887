"""Over HTTP: which version is live, who may say so, what is asked of it, and runs that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from core.ids import new_id
from core.roles import Caller
from core.settings import load_settings
from feedback.audit import list_entries
from feedback.deployments import list_deployments
from feedback.run_leases import free_lease, take_lease
from feedback.run_queue import ask_for_run, end_run, move_run, take_run
from feedback.runs import Run
from feedback.sampling import Estimate
from feedback.schema import outbox
from feedback.store import Store, open_store
from feedback.watches import Comparison, Shift, Watched, find_kept, keep_watch
from service.models_api import DeploymentView
from service.run_views import RunsView, RunView
from service.views import ModelsView
from tests.support.keys import KeyedHome, bearer, make_keyed_home
from tests.support.server import Server, run_server, wait_until

TASK = "tiny-intent"
MODELS = f"/v1/models/{TASK}"


@dataclass
class Service:
    """A service with keys, its store, and its two versions, the first of them live."""

    server: Server
    store: Store
    keyed: KeyedHome
    first: str
    second: str

    def post(self, path: str, body: dict[str, Any], role: str = "admin") -> httpx.Response:
        with self.server.client() as client:
            return client.post(path, json=body, headers=bearer(self.keyed.secrets[role]))

    def get(self, path: str, role: str = "admin") -> httpx.Response:
        with self.server.client() as client:
            return client.get(path, headers=bearer(self.keyed.secrets[role]))

    def answering(self) -> set[str]:
        """Return the versions by which the workers answer now."""
        headers = bearer(self.keyed.secrets["app"])
        seen = set()
        for _ in range(12):  # a connection each, so that both workers are met
            with self.server.client() as client:
                reply = client.post(f"/v1/tasks/{TASK}/predict", json={"text": "my parcel"}, headers=headers)
            assert reply.status_code == 200
            seen.add(reply.json()["model_version"])
        return seen

    def judge(self, version: str, decision: str, champion: str) -> Run:
        """Let a run have ended with this verdict."""
        ask_for_run(self.store, Caller("tests", "admin"), TASK, "full", "request")
        assert take_lease(self.store, TASK, "tests")
        run = take_run(self.store, TASK, "tests")
        assert run is not None
        verdict = {"decision": decision, "reasons": [f"because: {decision}"], "checks": [], "warnings": []}
        run = move_run(self.store, run, "tests", "promote", version=version, champion=champion, gate=verdict)
        run = end_run(self.store, run, "tests", "passed" if decision == "pass" else "rejected", "")
        free_lease(self.store, TASK, "tests")
        return run


@pytest.fixture(scope="module")
def service(
    tiny_home: Path, tiny_versions: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("models")
    keyed = make_keyed_home(tiny_home, folder / "keyed")
    with (
        run_server(keyed.home, folder) as server,
        closing(open_store(load_settings(home=server.home).store_url)) as store,
    ):
        yield Service(server, store, keyed, *tiny_versions)


def events(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        wanted = select(outbox.c.payload).where(outbox.c.event == "model.promoted").order_by(outbox.c.id)
        return list(connection.scalars(wanted))


def test_nothing_goes_live_without_a_passed_gate(service: Service) -> None:
    path = f"{MODELS}/promote"
    unjudged = service.post(path, {"version": service.second})
    assert unjudged.status_code == 409
    assert "never judged" in unjudged.json()["detail"]
    service.judge(service.second, "fail", service.first)
    refused = service.post(path, {"version": service.second})
    assert refused.status_code == 409
    assert "fail" in refused.json()["detail"]
    assert service.post(path, {"version": service.second, "force": True}).status_code == 422
    assert service.post(path, {"version": service.second, "force": True, "reason": " "}).status_code == 422
    assert service.post(path, {"version": "20200101-000000-abcdef"}).status_code == 404
    assert service.post(path, {"version": "latest"}).status_code == 404
    assert service.post(path, {}).status_code == 422
    for role in ("app", "annotator", "reviewer"):
        assert service.post(path, {"version": service.second}, role).status_code == 403
        assert service.post(f"{MODELS}/rollback", {}, role).status_code == 403
    assert service.answering() == {service.first}


def test_promote_and_roll_back(service: Service) -> None:
    nowhere = service.post(f"{MODELS}/rollback", {})
    assert nowhere.status_code == 409
    run = service.judge(service.second, "pass", service.first)
    reply = service.post(f"{MODELS}/promote", {"version": service.second, "reason": "better"})
    assert reply.status_code == 200
    DeploymentView.model_validate_json(reply.content)
    assert reply.json() | {"created_at": ""} == {
        "task": TASK,
        "version": service.second,
        "previous": service.first,
        "changed": True,
        "reason": "better",
        "actor": "admin",
        "created_at": "",
    }
    wait_until(lambda: service.answering() == {service.second})
    described = service.get(MODELS)
    ModelsView.model_validate_json(described.content)
    by_version = {one["version"]: one for one in described.json()["versions"]}
    assert by_version[service.second]["live"]
    assert by_version[service.second]["gate"] == {
        "decision": "pass", "reasons": ["because: pass"], "run_id": run.id, "champion": service.first
    }  # fmt: skip
    assert by_version[service.first]["gate"]["run_id"] is None
    assert not service.post(f"{MODELS}/promote", {"version": service.second}).json()["changed"]

    back = service.post(f"{MODELS}/rollback", {"reason": "worse"})
    assert back.status_code == 200
    assert (back.json()["version"], back.json()["previous"]) == (service.first, service.second)
    wait_until(lambda: service.answering() == {service.first})
    assert service.post(f"{MODELS}/rollback", {"to": "20200101-000000-abcdef"}).status_code == 409
    told = [(event["how"], event["version"]) for event in events(service.store)]
    assert told[-2:] == [("person", service.second), ("rollback", service.first)]
    noted = [entry for entry in list_entries(service.store, limit=1000) if entry.action.startswith("models.")]
    assert [(entry.action, entry.actor, entry.details["version"]) for entry in noted[-2:]] == [
        ("models.promote", "admin", service.second),
        ("models.rollback", "admin", service.first),
    ]


def test_a_run_is_asked_for_and_can_be_followed(service: Service) -> None:
    asked = service.post(f"{MODELS}/retrain", {"mode": "fast"})
    assert asked.status_code == 202
    run_id = asked.json()["run_id"]
    assert service.post(f"{MODELS}/retrain", {"mode": "fast"}).json()["run_id"] == run_id
    assert service.post(f"{MODELS}/retrain", {}).json()["run_id"] != run_id
    assert service.post(f"{MODELS}/retrain", {"mode": "slow"}).status_code == 422
    assert service.post(f"{MODELS}/retrain", {"mode": "fast"}, "reviewer").status_code == 403
    reply = service.get(f"/v1/runs/{run_id}", "reviewer")
    assert reply.status_code == 200
    RunView.model_validate_json(reply.content)
    found = reply.json()
    assert (found["run_id"], found["task"], found["mode"], found["status"]) == (run_id, TASK, "fast", "queued")
    listed = service.get("/v1/runs?limit=200", "reviewer")
    RunsView.model_validate_json(listed.content)
    assert run_id in {run["run_id"] for run in listed.json()["runs"]}
    assert service.get(f"/v1/runs?task={TASK}&limit=1").json()["runs"][0]["task"] == TASK
    assert service.get("/v1/runs?task=unknown").status_code == 404
    assert service.get("/v1/runs?before=now").status_code == 422
    assert service.get(f"/v1/runs/{new_id()}").status_code == 404
    assert service.get("/v1/runs/whatever").status_code == 404


def test_runs_of_other_tasks_do_not_exist(service: Service) -> None:
    run = ask_for_run(service.store, Caller("tests", "admin"), TASK, "fast", "request")
    assert service.get(f"/v1/runs/{run.id}", "reviewer elsewhere").status_code == 404
    assert service.get("/v1/runs", "reviewer elsewhere").json() == {"runs": []}
    assert service.get(f"/v1/runs?task={TASK}", "reviewer elsewhere").status_code == 404


def test_a_damaged_version_is_not_made_live(service: Service) -> None:
    graph = service.server.home / "bentoml" / "models" / TASK / service.second / "model.int8.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + b"x")
    try:
        service.judge(service.second, "pass", service.first)
        reply = service.post(f"{MODELS}/promote", {"version": service.second})
        assert reply.status_code == 409
        assert "has changed" in reply.json()["detail"]
    finally:
        graph.write_bytes(whole)


def test_metrics_tell_of_runs(service: Service) -> None:
    service.judge(service.second, "fail", service.first)
    wait_until(lambda: f'regrade_run_failed{{task="{TASK}"}} 1.0' in service.get("/metrics").text)
    assert f'regrade_runs{{status="rejected",task="{TASK}"}}' in service.get("/metrics").text


def test_how_the_live_version_does(service: Service) -> None:
    """What a scheduler has found is told by the API, by the task page and by the metrics."""
    live = list_deployments(service.store, TASK)[0]
    watched = Watched(
        live.id,
        live.version,
        before="another",
        returns=True,
        until=datetime.now(UTC) + timedelta(hours=1),
        comparisons=[
            Comparison("accuracy", 2, 90, 0.81, 0.93, 0.12, 0.05, 0.003, significant=True),
            Comparison("reports", 1, 400, 0.02, 0.01, 1.9, 2.0, 0.008, significant=True),
            Comparison("labels", 1, 400, 0.125, 0.0, 0.1, 1.0, 0.008, significant=False),
        ],
        accuracy=Estimate(0.81, 0.72, 0.88, 0.75, 90, 400),
        shifts=[
            Shift("labels", 0.31, 0.25, "shifted", 500, 900),
            Shift("confidence", 0.12, 0.25, "moving", 500, 900),
            Shift("texts", 0.001, 0.01, "steady", 300, 300),
        ],
        drifted_at=datetime.now(UTC),
    )
    with service.store.write() as connection:
        kept = find_kept(connection, TASK)
        assert keep_watch(service.store, connection, TASK, watched, kept.step if kept else 0)
    told = ModelsView.model_validate(service.get(MODELS).json()).watch
    assert told is not None
    assert (told.version, told.before, told.returns, told.worse) == (live.version, "another", True, None)
    assert [one.measure for one in told.comparisons] == ["accuracy", "reports", "labels"]
    assert {one.aspect: one.verdict for one in told.shifts} == {
        "labels": "shifted",
        "confidence": "moving",
        "texts": "steady",
    }
    page = service.get(f"/app/tasks/{TASK}").text
    for said in ("Held against another until", "81.0", "worse, within the limit", "shifted", "moving", "steady"):
        assert said in page
    wait_until(lambda: f'regrade_drift{{of="labels",task="{TASK}"}} 0.31' in service.get("/metrics").text)
    metrics = service.get("/metrics").text
    assert f'regrade_drift_shifted{{task="{TASK}"}} 1.0' in metrics
    assert f'regrade_live_accuracy{{of="low",task="{TASK}"}} 0.72' in metrics
    assert f'regrade_live_worse{{task="{TASK}"}} 0.0' in metrics
