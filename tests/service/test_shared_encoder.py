"""Tasks on one encoder: one session in memory, one pass for a text, and every task's own answer."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from core.errors import ModelError
from core.settings import load_settings
from feedback.deployments import live_deployments, record_deployment
from feedback.store import open_store
from service.artifact import HEAD, INT8, WEIGHTS
from service.batcher import Batcher
from service.classifier import Classifier, load_classifier
from service.encoders import Encoders
from service.encoding import Ints
from service.heads import Heads, by_encoder
from service.metrics import Metrics
from service.runner import Floats, OrtRunner
from tests.support.keys import bearer, make_keyed_home
from tests.support.server import ROOT, Server, run_server, wait_until
from tests.support.sharing import SECOND
from tests.support.tiny import TASK

TEXTS = [
    "where is my parcel",
    "i am so angry that my refund is not here",
    "write to jane.roe@example.com about my password, thanks a lot",
    "all is well, and no hurry at all: " + "the parcel may come today or some other day " * 3,
]
"""The third is redacted by the first task only, and the last is too long for the second."""

NEAR = 5e-3
"""How far an answer may lie from that of the text alone: int8 scales its activations by what else is in the batch."""


@pytest.fixture(scope="module")
def home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two tasks on one encoder, both live."""
    place = tmp_path_factory.mktemp("sharing") / "home"
    shutil.copytree(tiny_home, place)
    command = [sys.executable, "-m", "tests.support.sharing", str(place)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-4000:]
    return place


@pytest.fixture(scope="module")
def folders(home: Path) -> dict[str, Path]:
    with closing(open_store(load_settings(home=home).store_url)) as store:
        live = live_deployments(store)
    return {task: home / "bentoml" / "models" / task / live[task].version for task in (TASK, SECOND)}


@pytest.fixture
def both(folders: dict[str, Path]) -> list[Classifier]:
    encoders = Encoders()
    return [load_classifier(folder, encoders=encoders) for folder in folders.values()]


def count_runs(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what grows by the number of texts with each run of the graph."""
    runs: list[int] = []
    run = classifier.runner.run

    def counted(ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        runs.append(len(ids))
        return run(ids, mask)

    monkeypatch.setattr(classifier.runner, "run", counted)
    return runs


def test_versions_on_one_encoder_open_it_once_and_let_it_go_together(folders: dict[str, Path]) -> None:
    encoders = Encoders()
    first, second = (load_classifier(folder, encoders=encoders) for folder in folders.values())
    assert first.manifest.encoder == second.manifest.encoder is not None
    assert first.shared is second.shared
    manifest, shared = first.manifest, encoders.find(first.manifest, "cpu", INT8)
    assert shared is first.shared
    del first, second, shared
    gc.collect()
    assert encoders.find(manifest, "cpu", INT8) is None


def test_a_version_with_another_encoder_does_not_share(
    folders: dict[str, Path], tiny_versions: tuple[str, str]
) -> None:
    encoders = Encoders()
    quick = load_classifier(folders[TASK], encoders=encoders)
    fine_tuned = load_classifier(folders[TASK].parent / tiny_versions[1], encoders=encoders)
    assert fine_tuned.manifest.encoder not in {None, quick.manifest.encoder}
    assert fine_tuned.shared is not quick.shared


def test_a_head_says_what_its_graph_says(folders: dict[str, Path], both: list[Classifier]) -> None:
    for folder, classifier in zip(folders.values(), both, strict=True):
        alone = OrtRunner(folder)
        for text in TEXTS:
            encodings = [classifier.prepare(text)]
            logits, embeddings = alone.run(*classifier._encoder.pad(encodings))
            assert np.array_equal(embeddings, classifier.compute(encodings)[1]), "not a bit of it is another"
            exact = classifier.judge(logits, embeddings).probabilities
            classifier._head, head = None, classifier._head
            assert np.allclose(exact, classifier.judge(logits, embeddings).probabilities, atol=1e-6)
            classifier._head = head


def test_a_changed_head_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "version"
    shutil.copytree(folders[SECOND], copy)
    (copy / HEAD).write_bytes((folders[TASK] / HEAD).read_bytes())
    with pytest.raises(ModelError, match=r"head\.npz has changed"):
        load_classifier(copy)


def test_weights_lie_beside_the_graph_and_are_checked(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "version"
    shutil.copytree(folders[SECOND], copy)
    weights = bytearray((copy / WEIGHTS).read_bytes())
    assert weights
    weights[len(weights) // 2] ^= 1
    (copy / WEIGHTS).write_bytes(weights)
    with pytest.raises(ModelError, match=r"model\.int8\.bin has changed"):
        load_classifier(copy)


def test_heads_say_what_each_task_says_alone(both: list[Classifier]) -> None:
    (heads,) = by_encoder(both, WeakValueDictionary())
    assert isinstance(heads, Heads)
    encodings = [heads.prepare(text) for text in TEXTS]
    together = heads.judged(encodings, *heads.compute(encodings))
    for place, classifier in enumerate(both):
        said = [one.others[place - 1] if place else one for one in together]
        for text, judged in zip(TEXTS, said, strict=True):
            alone = classifier.score([classifier.prepare(text)])
            assert np.allclose(judged.probabilities, alone.probabilities[0], atol=NEAR)
            assert judged.out_of_scope == pytest.approx(float(alone.out_of_scope[0]), abs=0.02)
            assert judged.text == classifier.redact(text)
            assert judged.truncated == classifier.prepare(text).truncated
    assert "<EMAIL>" in together[2].text
    assert "jane.roe@example.com" in together[2].others[0].text
    assert [together[3].truncated, together[3].others[0].truncated] == [True, True]


def test_a_text_is_computed_once_for_all_who_see_it_alike(
    both: list[Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = count_runs(both[0], monkeypatch)

    async def scenario() -> None:
        batcher = Batcher(Metrics(CollectorRegistry()), max_queue=256, batch_tokens=512, timeout_s=60)
        (heads,) = by_encoder(both, WeakValueDictionary())
        await batcher.submit(heads, ["my parcel", "all is well"], lambda: False)
        assert sum(runs) == 2
        await batcher.submit(heads, TEXTS[2:3], lambda: False)
        assert sum(runs) == 4, "one form for each task"

    asyncio.run(scenario())


def test_requests_of_different_tasks_share_a_batch(both: list[Classifier], monkeypatch: pytest.MonkeyPatch) -> None:
    runs = count_runs(both[0], monkeypatch)
    alone = [one.score([one.prepare(TEXTS[0])]).probabilities[0] for one in both]
    runs.clear()

    async def scenario() -> list[Any]:
        batcher = Batcher(Metrics(CollectorRegistry()), max_queue=256, batch_tokens=512, timeout_s=60)
        return await asyncio.gather(*(batcher.submit(one, TEXTS[:1], lambda: False) for one in both))

    said = asyncio.run(scenario())
    assert runs == [2]
    for (judged,), probabilities in zip(said, alone, strict=True):
        assert np.allclose(judged.probabilities, probabilities, atol=NEAR)


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tasks = {"REGRADE_TASKS": f"{TASK},{SECOND}"}
    with run_server(home, tmp_path_factory.mktemp("server"), workers=1, **tasks) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def without_ids(reply: dict[str, Any]) -> dict[str, Any]:
    """Return what a reply says of its texts."""
    said = [{key: one[key] for key in ("label", "truncated")} for one in reply["predictions"]]
    return {"version": reply["model_version"], "task": reply["task"], "said": said}


def ask_both(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    reply = client.post("/v1/predict", json={"tasks": [TASK, SECOND], **body})
    assert reply.status_code == 200, reply.text
    results: dict[str, Any] = reply.json()["results"]
    return results


def test_each_task_answers_as_it_does_by_itself(client: httpx.Client) -> None:
    results = ask_both(client, {"texts": TEXTS, "top_k": 1, "metadata": {"from": "jane.roe@example.com"}})
    assert list(results) == [TASK, SECOND]
    for task, reply in results.items():
        alone = client.post(f"/v1/tasks/{task}/predict", json={"texts": TEXTS, "top_k": 1}).json()
        assert without_ids(reply) == without_ids(alone)
        assert [len(one["scores"]) for one in reply["predictions"]] == [1] * len(TEXTS)
        found = [client.get(f"/v1/predictions/{one['id']}").json() for one in reply["predictions"]]
        assert [one["task"] for one in found] == [task] * len(TEXTS)
        assert [one["label"] for one in found] == [one["label"] for one in reply["predictions"]]
    kept = {
        task: client.get(f"/v1/predictions/{reply['predictions'][2]['id']}").json() for task, reply in results.items()
    }
    assert "jane" not in str(kept[TASK])
    assert kept[SECOND]["metadata"] == {"from": "jane.roe@example.com"}


def test_an_idempotency_key_gets_the_first_reply_again(client: httpx.Client) -> None:
    body = {"tasks": [TASK, SECOND], "text": TEXTS[0]}
    first, again = (client.post("/v1/predict", json=body, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert first.json() == again.json()


@pytest.mark.parametrize(
    ("tasks", "status", "said"),
    [
        ([TASK, "nothing"], 404, "nothing"),
        ([TASK, SECOND, TASK], 422, "is there twice"),
        ([], 422, "at least 1 item"),
        ([f"task-{number}" for number in range(17)], 422, "at most 16 items"),
        (TASK, 422, "valid array"),
    ],
)
def test_what_cannot_be_asked(client: httpx.Client, tasks: object, status: int, said: str) -> None:
    reply = client.post("/v1/predict", json={"tasks": tasks, "text": "hello"})
    assert reply.status_code == status
    assert said in reply.text


def test_a_bad_text_is_named_and_nothing_is_done(client: httpx.Client) -> None:
    reply = client.post("/v1/predict", json={"tasks": [TASK, SECOND], "texts": ["hello", " "]})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["loc"] == ["texts", 1]


def test_a_key_needs_a_grant_for_every_task(home: Path, tmp_path: Path) -> None:
    keyed = make_keyed_home(home, tmp_path / "keyed")
    tasks = {"REGRADE_TASKS": f"{TASK},{SECOND}"}
    with run_server(keyed.home, tmp_path / "server", workers=1, **tasks) as running, running.client() as client:
        body = {"tasks": [TASK, SECOND], "text": "hello"}
        assert client.post("/v1/predict", json=body, headers=bearer(keyed.secrets["app"])).status_code == 200
        refused = client.post("/v1/predict", json=body, headers=bearer(keyed.secrets["app elsewhere"]))
        assert refused.status_code == 404
        assert TASK in refused.json()["detail"]


def test_tasks_that_share_nothing_are_asked_too(
    server: Server, client: httpx.Client, tiny_versions: tuple[str, str]
) -> None:
    with closing(open_store(load_settings(home=server.home).store_url)) as store:
        record_deployment(store, TASK, tiny_versions[1], "another encoder", "tests")
    wait_until(lambda: client.get("/readyz").json()["tasks"][TASK] == tiny_versions[1])
    results = ask_both(client, {"text": TEXTS[1]})
    assert results[TASK]["model_version"] == tiny_versions[1]
    for task, reply in results.items():
        alone = client.post(f"/v1/tasks/{task}/predict", json={"text": TEXTS[1]}).json()
        assert without_ids(reply) == without_ids(alone)
