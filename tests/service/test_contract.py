"""The HTTP contract, through the public door of a real service with two workers."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ENVIRONMENT
from tests.support.server import ROOT, Server

PREDICT = "/v1/tasks/tiny-intent/predict"
JSON = {"Content-Type": "application/json"}


def predict(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post(PREDICT, json=body)


def assert_fine(client: httpx.Client) -> None:
    assert predict(client, text="where is my parcel").status_code == 200


def assert_problem(reply: httpx.Response, status: int, word: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    content = reply.json()
    assert content["status"] == status
    assert {"type", "title", "detail", "errors"} <= content.keys()
    assert word.lower() in json.dumps(content, ensure_ascii=False).lower()


def test_one_text(client: httpx.Client, tiny_versions: tuple[str, str]) -> None:
    reply = predict(client, text="where is my parcel")
    assert reply.status_code == 200
    content = reply.json()
    assert (content["task"], content["model_version"]) == ("tiny-intent", tiny_versions[0])
    [one] = content["predictions"]
    assert one["label"] == "parcel"
    assert one["scores"][0] == {"label": "parcel", "score": one["confidence"]}
    assert [score["score"] for score in one["scores"]] == sorted((s["score"] for s in one["scores"]), reverse=True)
    assert len(one["scores"]) == 3
    assert 0 <= one["out_of_scope"] <= 1
    assert (one["labels"], one["spans"], one["truncated"]) == (None, None, False)
    assert uuid.UUID(one["id"]).version == 7


def test_many_texts_come_back_in_order_with_ids_of_their_own(client: httpx.Client) -> None:
    texts = ["parcel is late", "refund my money", "reset the password"] * 85 + ["lost parcel"]
    predictions = predict(client, texts=texts, top_k=1).json()["predictions"]
    assert len(predictions) == 256
    assert [one["label"] for one in predictions[:3]] == ["parcel", "refund", "password"]
    assert len({one["id"] for one in predictions}) == 256
    assert all(len(one["scores"]) == 1 for one in predictions)


def test_a_text_says_the_same_alone_and_in_company(client: httpx.Client) -> None:
    texts = ["parcel", "i want a refund " * 5, "password please"]
    together = predict(client, texts=texts).json()["predictions"]
    for text, one in zip(texts, together, strict=True):
        alone = predict(client, text=text).json()["predictions"][0]
        assert alone["label"] == one["label"]
        assert alone["confidence"] == pytest.approx(one["confidence"], abs=0.02)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("😡😡😡", False),
        ("我的包裹在哪里", False),
        ("x" * 10_000, False),
        ("a b " * 2_500, True),
        ("\u202eparcel", False),
        ("<script>alert(1)</script>", False),
        ("e\u0301", False),
    ],
)
def test_unusual_texts_are_answered(client: httpx.Client, text: str, cut: bool) -> None:
    reply = predict(client, text=text)
    assert reply.status_code == 200
    assert reply.json()["predictions"][0]["truncated"] == cut


def test_every_optional_field_is_accepted(client: httpx.Client) -> None:
    reply = predict(
        client,
        text="parcel",
        top_k=2,
        language="zh-Hans",
        subject="customer-17",
        routing_key="k",
        metadata={f"key{n}": "v" * 500 for n in range(20)},
    )
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"text": "where is', 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b'{"text": "\\ud800"}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 422, "expected a JSON object"),
        (b'"text"', 422, "expected a JSON object"),
        (b"null", 422, "expected a JSON object"),
        (b"{}", 422, "neither was given"),
        (b'{"text": "a", "texts": ["a"]}', 422, "both were given"),
        (b'{"text": 3}', 422, "got 3"),
        (b'{"text": ["a"]}', 422, "a list of 1"),
        (b'{"texts": "a"}', 422, "array"),
        (b'{"texts": []}', 422, "at least 1"),
        (b'{"texts": ["a", 3, null]}', 422, "texts"),
        (b'{"text": ""}', 422, "empty"),
        (b'{"text": " \\n\\t "}', 422, "blank"),
        (b'{"text": "a\\u0000b"}', 422, "U+0000"),
        (b'{"text": "a", "top_k": 0}', 422, "top_k"),
        (b'{"text": "a", "top_k": "3"}', 422, "top_k"),
        (b'{"text": "a", "top_k": 1.5}', 422, "top_k"),
        (b'{"text": "a", "txet": "b"}', 422, "unknown field"),
        (b'{"text": "a", "language": "English please"}', 422, "language"),
        (b'{"text": "a", "metadata": {"k": 3}}', 422, "metadata"),
        (json.dumps({"text": "a", "metadata": {str(n): "" for n in range(21)}}).encode(), 422, "metadata"),
        (json.dumps({"text": "a", "metadata": {"k": "v" * 501}}).encode(), 422, "metadata"),
        (json.dumps({"text": "x" * 10_001}).encode(), 422, "10,001"),
        (json.dumps({"text": "x" * 1_000_000}).encode(), 422, "1,000,000"),
        (json.dumps({"texts": ["a"] * 300}).encode(), 422, "256"),
    ],
)
def test_bad_bodies_are_explained_and_harm_nobody(client: httpx.Client, body: bytes, status: int, word: str) -> None:
    assert_problem(client.post(PREDICT, content=body, headers=JSON), status, word)
    assert_fine(client)


def test_every_bad_text_is_named_by_its_index(client: httpx.Client) -> None:
    reply = predict(client, texts=["fine", "", "fine", "a\x00", " "])
    assert_problem(reply, 422, "empty")
    assert [error["loc"] for error in reply.json()["errors"]] == [["texts", 1], ["texts", 3], ["texts", 4]]


def test_a_wrong_value_is_not_repeated_at_length(client: httpx.Client) -> None:
    secret = "my secret story " * 1000
    assert "secret story my secret story my secret story my secret" not in predict(client, text=[secret]).text


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("POST", "/v1/tasks/nope/predict", 404, "nope"),
        ("GET", "/v1/models/nope", 404, "nope"),
        ("GET", "/v2/anything", 404, "/docs"),
        ("GET", PREDICT, 405, "POST"),
        ("DELETE", "/v1/tasks", 405, "GET"),
        ("PUT", "/readyz", 405, "GET"),
        ("POST", "/v1/nowhere", 404, "/docs"),
        ("GET", "/openapiXjson", 404, "/docs"),
    ],
)
def test_unknown_places_and_methods(client: httpx.Client, method: str, path: str, status: int, word: str) -> None:
    body = b'{"text": "a"}' if method != "GET" else None
    for headers in (JSON, {}):
        reply = client.request(method, path, content=body, headers=headers)
        if (path, headers) == ("/v1/tasks/nope/predict", {}):
            assert_problem(reply, 415, "application/json")
            continue
        assert_problem(reply, status, word)
        if status == 405:
            assert reply.headers["allow"] == word
    assert_fine(client)


def test_the_body_must_be_declared_as_json(client: httpx.Client) -> None:
    body = b'{"text": "a"}'
    assert_problem(client.post(PREDICT, content=body, headers={"Content-Type": "text/plain"}), 415, "text/plain")
    assert_problem(client.post(PREDICT, content=body), 415, "application/json")
    declared = {"Content-Type": "application/JSON; charset=utf-8"}
    assert client.post(PREDICT, content=body, headers=declared).status_code == 200


def test_a_huge_body_is_refused(client: httpx.Client) -> None:
    body = b'{"text": "' + b"x" * (17 * 1024 * 1024) + b'"}'
    assert_problem(client.post(PREDICT, content=body, headers=JSON), 413, "16,777,216")

    def parts() -> Any:
        for _ in range(17):
            yield b" " * 1024 * 1024

    assert_problem(client.post(PREDICT, content=parts(), headers=JSON), 413, "16,777,216")
    assert_fine(client)


def test_a_body_cut_short_harms_nobody(server: Server, client: httpx.Client) -> None:
    lines = (f"POST {PREDICT} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: 500")
    head = "\r\n".join([*lines, "", ""])
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(head.encode() + b'{"text": "where')
    assert_fine(client)


@pytest.mark.parametrize("sent", [b"", b'{"text": "where'])
def test_a_body_that_stops_coming_is_answered(server: Server, sent: bytes) -> None:
    lines = (f"POST {PREDICT} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: 500")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        answer = ""
        while "errors" not in answer:
            answer += raw.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 400")
    assert f"stopped after {len(sent)} bytes; expected 500" in answer


@pytest.mark.parametrize(
    "body", [{f"key{n}": n for n in range(200_000)}, {"metadata": dict.fromkeys(map(str, range(200_000)), 3)}]
)
def test_a_flood_of_fields_gets_a_short_answer(client: httpx.Client, body: dict[str, Any]) -> None:
    reply = client.post(PREDICT, json={"text": "a", **body})
    assert_problem(reply, 422, "too many")
    assert len(reply.content) < 10_000


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"Host": "evil.example"}, "Host"),
        ({"Host": "127.0.0.1.evil.example"}, "Host"),
        ({"Host": ""}, "Host"),
        ({"Origin": "https://evil.example"}, "Origin"),
        ({"Origin": "null"}, "Origin"),
        ({"X-Forwarded-For": "10.0.0.1"}, "x-forwarded-for"),
        ({"X-Forwarded-Port": "80"}, "x-forwarded-port"),
        ({"Forwarded": "for=10.0.0.1"}, "forwarded"),
        ({"Via": "1.1 proxy"}, "via"),
    ],
)
@pytest.mark.parametrize("path", [PREDICT, "/predict", "/v1/tasks", "/metrics"])
def test_open_mode_refuses_other_sites(client: httpx.Client, path: str, headers: dict[str, str], word: str) -> None:
    method = "POST" if path.endswith("predict") else "GET"
    reply = client.request(method, path, headers={**JSON, **headers}, content=b'{"text": "a"}')
    assert_problem(reply, 403, word)


def test_our_own_origin_is_welcome(server: Server, client: httpx.Client) -> None:
    assert client.get("/v1/tasks", headers={"Origin": server.url}).status_code == 200
    assert client.get("/v1/tasks", headers={"Host": "localhost:1"}).status_code == 200


def test_an_idempotency_key_answers_once(client: httpx.Client) -> None:
    key = {"Idempotency-Key": f"key-{uuid.uuid4()}"}
    first = client.post(PREDICT, json={"text": "parcel"}, headers=key)
    again = client.post(PREDICT, json={"text": "parcel"}, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    other = client.post(PREDICT, json={"text": "refund"}, headers=key)
    assert_problem(other, 409, "another body")
    assert_problem(client.post(PREDICT, json={"text": "a"}, headers={"Idempotency-Key": "k" * 256}), 422, "255")


def test_a_failed_request_frees_its_key(client: httpx.Client) -> None:
    key = {"Idempotency-Key": f"key-{uuid.uuid4()}"}
    assert client.post("/v1/tasks/nope/predict", json={"text": "parcel"}, headers=key).status_code == 404
    assert client.post("/v1/tasks/nope/predict", json={"text": "parcel"}, headers=key).status_code == 404


def test_tasks_and_models_are_described(client: httpx.Client, tiny_versions: tuple[str, str]) -> None:
    [task] = client.get("/v1/tasks").json()["tasks"]
    assert (task["name"], task["revision"], task["live_version"]) == ("tiny-intent", 1, tiny_versions[0])
    assert [label["name"] for label in task["labels"]] == ["parcel", "refund", "password"]
    models = client.get("/v1/models/tiny-intent").json()
    assert [one["version"] for one in models["versions"]] == sorted(tiny_versions, reverse=True)
    assert [one["live"] for one in models["versions"]] == [False, True]
    assert all(one["gate"]["decision"] == "untested" and one["metrics"]["accuracy"] > 0.5 for one in models["versions"])


def test_health_says_which_version_answers(client: httpx.Client, tiny_versions: tuple[str, str]) -> None:
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "draining": False, "tasks": {"tiny-intent": tiny_versions[0]}}
    assert client.get("/livez").status_code == 200
    assert client.head("/livez").status_code == 200


def test_the_docs_page_needs_no_other_site(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert client.get(path).status_code == 200
    assert client.get("/").headers["location"] == "/app"
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_the_bentoml_door_goes_through_the_same_checks(client: httpx.Client, tiny_versions: tuple[str, str]) -> None:
    reply = client.post("/predict", json={"task": "tiny-intent", "texts": ["lost parcel"]})
    assert reply.status_code == 200
    assert reply.json()["model_version"] == tiny_versions[0]
    assert reply.json()["predictions"][0]["label"] == "parcel"
    for content, status, word in (
        (b"{", 400, "not JSON"),
        (b'{"text": "a"}', 422, "task"),
        (b'{"task": "tiny-intent"}', 422, "neither was given"),
        (b'{"task": "tiny-intent", "texts": ["a", " "]}', 422, "blank"),
        (b'{"task": "tiny-intent", "text": 3}', 422, "got 3"),
        (b'{"task": "tiny-intent", "text": "a", "top_k": "3"}', 422, "top_k"),
        (b'{"task": "tiny-intent", "text": "a", "more": 1}', 422, "unknown field"),
        (b'{"task": "nope", "text": "a"}', 404, "nope"),
    ):
        assert_problem(client.post("/predict", content=content, headers=JSON), status, word)
    reply = client.post("/predict", content=b"{}", headers={"Content-Type": "text/plain"})
    assert_problem(reply, 415, "application/json")
    assert_problem(client.get("/predict"), 405, "POST")


def test_bentomls_own_client_is_answered(server: Server) -> None:
    code = (
        "import sys, bentoml\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    print(client.predict(task='tiny-intent', texts=['lost parcel'])['predictions'][0]['label'])"
    )
    run = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=False)
    assert run.stdout == "parcel\n", run.stderr


def test_metrics_add_up_over_the_workers(server: Server) -> None:
    def count() -> dict[str, float]:
        with server.client() as client:
            text = client.get("/metrics").text
        samples = re.findall(r"^(regrade_\w+?)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE)
        return {f"{name}{{{labels}}}": float(value) for name, labels, value in samples}

    before = count()
    for _ in range(12):  # a connection each, so that both workers get some
        with server.client() as client:
            assert predict(client, texts=["parcel", "refund"]).status_code == 200
    after = count()

    def grown(word: str) -> float:
        return sum(value - before.get(name, 0) for name, value in after.items() if word in name)

    assert grown('regrade_requests_total{endpoint="/v1/tasks/{task}/predict",status="200"') == 12
    timed = [name for name in after if name.startswith("regrade_request_seconds_count") and "predict" in name]
    assert any('version="2' in name for name in timed)
    assert grown("regrade_predictions_total") == 24
    assert grown("regrade_confidence_count") == 24
    assert grown("regrade_batch_texts_sum") == 24
    assert grown("regrade_tokens_total") > 48
    assert 'regrade_live_version{task="tiny-intent"' in "".join(after)
    assert not [name for name in after if "nope" in name]


def test_logs_hold_no_texts(server: Server, client: httpx.Client) -> None:
    predict(client, text="zebrafish parcel")
    predict(client, text=["zebrafish"])
    client.post("/predict", json={"task": "tiny-intent", "texts": [["zebrafish"]]})
    assert "zebrafish" not in server.log.read_text()


def test_serving_imports_nothing_of_learning(server: Server, tiny_home: Path, tmp_path: Path) -> None:
    loaded = [str(path) for worker in server.workers() for path in (region.path for region in worker.memory_maps())]
    assert any("onnxruntime" in path for path in loaded)
    assert not [path for path in loaded if "/torch/" in path]
    code = (
        "import asyncio, sys; from core.settings import load_settings; from service.requests import validated\n"
        "from service.app import Regrade; Regrade.to_asgi(); worker = Regrade.worker; worker.live.refresh()\n"
        "asyncio.run(worker.predictor.predict('tiny-intent', validated({'text': 'parcel'})))\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    shutil.copytree(tiny_home, tmp_path / "home")
    environment = {
        **ENVIRONMENT,
        "REGRADE_HOME": str(tmp_path / "home"),
        "BENTOML_HOME": str(tmp_path / "home" / "bentoml"),
        "REGRADE_TASKS": "tiny-intent",
        "REGRADE_RECORD": "off",  # nothing writes here: no worker was started
    }
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    modules = set(run.stdout.split())
    assert "onnxruntime" in modules
    assert not modules & {"torch", "transformers", "optimum", "sklearn", "scipy", "pyarrow", "training", "regrade"}
