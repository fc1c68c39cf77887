"""Answers kept for exact repeats: of the same version and the same redacted text, and of nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from core.redaction import Redactor
from service.answers import Answers
from service.batcher import Batcher
from service.classifier import Classifier, Judged, load_classifier
from service.encoding import Encoding
from service.metrics import Metrics
from service.runner import Floats
from tests.support.server import run_server


class Counting(Classifier):
    """The real tiny model, which counts the texts that it computes."""

    def __init__(self, folder: Path) -> None:
        self.__dict__.update(load_classifier(folder).__dict__)
        self.texts: list[str] = []

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        self.texts += [encoding.text for encoding in encodings]
        return super().compute(encodings)


@pytest.fixture
def classifier(tiny_version: Path) -> Counting:
    return Counting(tiny_version)


def ask(requests: Sequence[tuple[Classifier, Sequence[str]]], entries: int = 100) -> list[list[Judged]]:
    """Send requests one after the other."""

    async def scenario() -> list[list[Judged]]:
        metrics = Metrics(CollectorRegistry())
        answers = Answers(entries, metrics)
        batcher = Batcher(metrics, max_queue=256, batch_tokens=512, timeout_s=60, answers=answers)
        said = [await batcher.submit(one, texts, lambda: False) for one, texts in requests]
        assert batcher.waiting_texts == 0
        assert len(answers) <= entries
        return said

    return asyncio.run(scenario())


def test_a_repeat_gets_the_same_answer_and_is_not_computed(classifier: Counting) -> None:
    texts = ["where is my parcel", "refund please"]
    first, again, mixed = ask([(classifier, texts), (classifier, texts), (classifier, ["reset it", texts[1]])])
    assert sorted(classifier.texts) == sorted([*texts, "reset it"])
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.probabilities, other.probabilities)
        assert (one.out_of_scope, one.truncated, one.text) == (other.out_of_scope, other.truncated, other.text)
    assert np.array_equal(mixed[1].probabilities, first[1].probabilities)
    assert mixed[0].text == "reset it"


def test_another_version_answers_by_itself(
    classifier: Counting, tiny_version: Path, tiny_versions: tuple[str, str]
) -> None:
    other = Counting(tiny_version.parent / tiny_versions[1])
    (old,), (new,), (back,) = ask([(one, ["my parcel"]) for one in (classifier, other, classifier)])
    assert [len(one.texts) for one in (classifier, other)] == [1, 1]
    assert not np.array_equal(old.probabilities, new.probabilities)
    assert np.array_equal(old.probabilities, back.probabilities)


def test_texts_that_are_redacted_alike_are_one_and_others_are_not(classifier: Counting, tiny_version: Path) -> None:
    plain = Counting(tiny_version)
    plain.redact = Redactor(())
    texts = ["mail to ann@example.com", "mail to bob@example.com"]
    said = ask([*((classifier, [text]) for text in texts), *((plain, [text]) for text in texts)])
    assert classifier.texts == ["mail to <EMAIL>"]
    assert plain.texts == texts
    assert [one.text for (one,) in said] == ["mail to <EMAIL>"] * 2 + texts


def test_those_not_asked_for_longest_go_first(classifier: Counting) -> None:
    ask([(classifier, [text]) for text in ("one", "two", "one", "three", "one", "two")], entries=2)
    assert classifier.texts == ["one", "two", "three", "two"]


def test_every_repeat_is_a_prediction_of_its_own(tiny_home: Path, tmp_path: Path) -> None:
    with run_server(tiny_home, tmp_path, workers=1, REGRADE_ANSWER_CACHE="100") as server, server.client() as client:
        body = {"texts": ["where is my parcel"] * 3}
        replies = [client.post("/v1/tasks/tiny-intent/predict", json=body).json() for _ in range(2)]
        predictions = [one for reply in replies for one in reply["predictions"]]
        assert len({one["id"] for one in predictions}) == 6
        assert len({(one["label"], one["confidence"], one["out_of_scope"]) for one in predictions}) == 1
        for one in predictions:
            assert client.get(f"/v1/predictions/{one['id']}").json()["label"] == one["label"]
        assert counted(client, "regrade_repeats_total") == 3
        assert counted(client, "regrade_predictions_total") == 6


def counted(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{"))
