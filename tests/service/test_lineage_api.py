"""Over HTTP: lineage of whatever has an id, kept to granted tasks; sources in quarantine; versions pinned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.ids import new_id
from feedback.audit import list_entries
from feedback.pins import list_pins
from feedback.quarantines import Suspicion, raise_quarantines
from service.lineage_replies import LineageView
from service.models_api import PinReply
from service.quarantines_api import QuarantinesView, QuarantineView
from tasks.declaration import read_task
from tests.support.desk import Desk, run_desk, unique
from tests.support.learnt import judged_run, snapshot_that_used
from tests.support.server import wait_until

TASK = "tiny-intent"


@pytest.fixture(scope="module")
def desk(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with run_desk(tiny_home, tmp_path_factory.mktemp("desk")) as running:
        yield running


def lineage(desk: Desk, name: str, person: str = "rita", **query: int) -> LineageView:
    reply = desk.of(person).get(f"/v1/lineage/{name}", params=query)
    assert reply.status_code == 200, reply.text
    return LineageView.model_validate_json(reply.content)


def reviewed(desk: Desk, task: str) -> tuple[str, str, str]:
    """Let somebody answer a text; return it, its item and the answer."""
    text = unique("teach me")
    [item_id] = desk.bring(task, text, priority=10)
    (item,) = [one for one in desk.claim("ann", task, count=20) if one["item_id"] == item_id]
    said = desk.answer("ann", item, **({"labels": ["refund"]} if task == "many" else {"label": "refund"}))
    assert said.status_code == 201, said.text
    return text, item_id, said.json()["answer_id"]


def test_from_an_answer_to_the_versions_and_back(desk: Desk, tiny_versions: tuple[str, str]) -> None:
    text, item_id, answer_id = reviewed(desk, TASK)
    assert lineage(desk, answer_id).notes == ["unused"]
    task = read_task(desk.server.home / "tasks" / TASK)
    snapshot = snapshot_that_used(desk.store, task, "c" * 64, [text])
    run = judged_run(desk.store, TASK, snapshot.sha256, tiny_versions[1], "pass", status="passed")
    for name in (answer_id, item_id):
        found = lineage(desk, name)
        assert found.reached is not None
        (made,) = [made for use in found.reached[0].used_by for made in use.made]
        assert made.run.run_id == run.id
        assert made.run.gate is not None
        assert made.run.gate.decision == "pass"
    version = lineage(desk, tiny_versions[1])
    assert version.model is not None
    assert (version.model.stored, version.model.method, version.model.is_live) == (True, "full", False)
    assert version.model.snapshot is not None
    assert [(one.text, one.answer_ids) for one in version.model.snapshot.items] == [(text, [answer_id])]
    assert lineage(desk, "cccccc").id == "c" * 64
    assert lineage(desk, run.id).run is not None


def test_a_prediction_names_the_version_that_files_made(desk: Desk, tiny_versions: tuple[str, str]) -> None:
    said = desk.post("shop", f"/v1/tasks/{TASK}/predict", {"text": unique("where is it")}).json()
    (one,) = said["predictions"]
    wait_until(lambda: desk.of("rita").get(f"/v1/lineage/{one['id']}").status_code == 200)
    found = lineage(desk, one["id"])
    assert found.prediction is not None
    assert found.prediction.version == tiny_versions[0]
    assert found.model is not None
    assert (found.model.run, found.model.snapshot, found.model.is_live) == (None, None, True)
    assert found.model.snapshot_sha256 is not None
    assert [one.reason for one in found.model.deployments] == ["first version"]
    assert found.notes == ["files"]


def test_what_belongs_to_another_task_does_not_exist(desk: Desk) -> None:
    reply = desk.post("root", "/v1/queue/secret/items", {"texts": [{"text": "a secret"}]})
    hidden = reply.json()["items"][0]["item_id"]
    assert lineage(desk, hidden, "root").task == "secret"
    for name in (hidden, new_id(), "nosuch", "abcdef", "..%2f"):
        assert desk.of("rita").get(f"/v1/lineage/{name}").status_code == 404
    for person in ("ann", "shop"):
        assert desk.of(person).get(f"/v1/lineage/{hidden}").status_code == 403
    assert desk.of("rita").get(f"/v1/lineage/{hidden}", params={"limit": 0}).status_code == 422


def test_a_source_is_released_once(desk: Desk) -> None:
    with desk.store.write() as connection:
        flood = Suspicion("ann", "burst", datetime.now(UTC), {"rows": 104, "implausible": 0.81})
        raise_quarantines(desk.store, connection, "brief", [flood])
    path = "/v1/queue/brief/quarantines"
    listed = desk.of("rita").get(path)
    QuarantinesView.model_validate_json(listed.content)
    (held,) = listed.json()["quarantines"]
    assert (held["person"], held["reason"], held["figures"]["rows"]) == ("ann", "burst", 104)
    elsewhere = desk.of("rita").post(f"/v1/queue/pair/quarantines/{held['id']}/release")
    assert elsewhere.status_code == 404
    assert desk.of("ann").post(f"{path}/{held['id']}/release").status_code == 403
    done = desk.of("rita").post(f"{path}/{held['id']}/release")
    assert done.status_code == 200
    QuarantineView.model_validate_json(done.content)
    assert desk.of("rita").post(f"{path}/{held['id']}/release").status_code == 404
    assert desk.of("rita").get(path).json() == {"quarantines": []}
    noted = [entry for entry in list_entries(desk.store, limit=1000) if entry.action == "quarantine.release"]
    assert [(entry.actor, entry.object) for entry in noted] == [("rita", "ann")]


def test_versions_are_pinned_and_let_go(desk: Desk, tiny_versions: tuple[str, str]) -> None:
    second = tiny_versions[1]
    path = f"/v1/models/{TASK}"
    for changed in (True, False):
        reply = desk.post("root", f"{path}/pin", {"version": second})
        assert PinReply.model_validate_json(reply.content).changed == changed
    assert [one.version for one in list_pins(desk.store, TASK)] == [second]
    pinned = {one["version"]: one["pinned"] for one in desk.of("root").get(path).json()["versions"]}
    assert pinned[second]
    assert desk.post("root", f"{path}/pin", {"version": "20200101-000000-abcdef"}).status_code == 404
    assert desk.post("rita", f"{path}/pin", {"version": second}).status_code == 403
    assert desk.post("root", f"{path}/unpin", {"version": second}).json()["changed"]
    assert not desk.post("root", f"{path}/unpin", {"version": second}).json()["changed"]
    assert list_pins(desk.store, TASK) == []
