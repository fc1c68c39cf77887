"""The queue in one worker: fair, bounded, and harmless to those who share a batch with a bad text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from core.errors import CallerGoneError, OverloadedError
from service.batcher import Batcher
from service.encoding import Encoding
from service.metrics import Metrics
from service.runner import Floats
from tests.support.batches import Poisoned, present, run


class Recording(Poisoned):
    """The real tiny model, which remembers its batches and can be told to fail on a token."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.batches: list[list[Encoding]] = []

    def prepare(self, text: str) -> Encoding:
        if text == "unreadable":
            raise RuntimeError("the tokenizer failed")
        return super().prepare(text)

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        self.batches.append(list(encodings))
        return super().compute(encodings)


@pytest.fixture
def classifier(tiny_version: Path) -> Recording:
    return Recording(tiny_version)


def make_batcher(timeout_s: float = 60.0, max_queue: int = 512) -> Batcher:
    return Batcher(Metrics(CollectorRegistry()), max_queue=max_queue, batch_tokens=512, timeout_s=timeout_s)


def test_answers_come_in_order_and_equal_those_of_the_model_alone(classifier: Recording) -> None:
    texts = [f"where is my parcel {'very ' * count}late" for count in range(40)]
    alone = classifier.classify(texts).scores.probabilities

    async def scenario() -> None:
        batcher = make_batcher()
        judged = await batcher.submit(classifier, texts, present)
        assert [one.probabilities.argmax() for one in judged] == alone.argmax(axis=1).tolist()
        assert batcher.waiting_texts == 0

    run(scenario)


def test_requests_that_wait_together_share_batches(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        await asyncio.gather(*(batcher.submit(classifier, ["refund please"], present) for _ in range(8)))

    run(scenario)
    assert [len(batch) for batch in classifier.batches] == [8]


def test_a_text_that_fails_harms_only_its_own_request(classifier: Recording) -> None:
    bad = "zzz"
    classifier.poison = next(token for token in classifier.prepare(bad).ids[1:-1])

    async def scenario() -> None:
        batcher = make_batcher()
        results = await asyncio.gather(
            *(batcher.submit(classifier, [text], present) for text in ("refund", bad, "parcel")), return_exceptions=True
        )
        assert isinstance(results[1], RuntimeError)
        assert isinstance(results[0], list)
        assert isinstance(results[2], list)
        assert batcher.waiting_texts == 0

    run(scenario)


def test_a_text_that_cannot_be_tokenised_harms_only_its_own_request(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        texts = (["refund"], ["parcel", "unreadable", "parcel"], ["password"] * 20)
        results = await asyncio.gather(
            *(batcher.submit(classifier, some, present) for some in texts), return_exceptions=True
        )
        assert [isinstance(result, list) for result in results] == [True, False, True]
        assert batcher.waiting_texts == 0

    run(scenario)


def test_cancelled_requests_give_back_their_room(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=300)
        batcher.submit(classifier, ["refund"] * 200, present).cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_texts == 0
        assert len(await batcher.submit(classifier, ["parcel"] * 250, present)) == 250
        assert batcher.waiting_texts == 0

    run(scenario)
    assert sum(len(batch) for batch in classifier.batches) < 300


def test_disconnected_requests_are_not_computed(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        gone = batcher.submit(classifier, ["refund"] * 3, lambda: True)
        await batcher.submit(classifier, ["parcel"], present)
        with pytest.raises(CallerGoneError):
            await gone

    run(scenario)
    assert sum(len(batch) for batch in classifier.batches) == 1


def test_expired_requests_are_refused(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(timeout_s=-1.0)
        with pytest.raises(OverloadedError, match="waited longer"):
            await batcher.submit(classifier, ["refund"], present)
        assert batcher.waiting_texts == 0

    run(scenario)
    assert classifier.batches == []


def test_a_full_queue_refuses_at_once_but_never_a_lone_request(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=10)
        large = batcher.submit(classifier, ["refund"] * 20, present)
        with pytest.raises(OverloadedError, match="20 texts are waiting and 10 may"):
            batcher.submit(classifier, ["parcel"], present)
        assert len(await large) == 20

    run(scenario)


def test_a_small_request_overtakes_the_rest_of_a_large_one(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        large = batcher.submit(classifier, ["a long complaint about everything"] * 200, present)
        await asyncio.sleep(0)
        await batcher.submit(classifier, ["refund"], present)
        assert not large.done()
        assert len(await large) == 200

    run(scenario)


def test_large_requests_are_not_starved_by_small_ones(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=100_000)
        large = batcher.submit(classifier, ["parcel"] * 64, present)
        for _ in range(10):
            for _ in range(100):
                batcher.submit(classifier, ["refund"], present)
            await asyncio.sleep(0)
        while not large.done():
            assert batcher.waiting_texts > 0
            await asyncio.sleep(0)
        assert batcher.waiting_texts > 500

    run(scenario)


def test_large_requests_are_sorted_together(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=100_000)
        texts = [f"a {'very ' * (number % 8)}long complaint" for number in range(64)]
        replies = await asyncio.gather(*(batcher.submit(classifier, texts, present) for _ in range(4)))
        assert [len(reply) for reply in replies] == [64] * 4

    run(scenario)
    assert [len(batch) for batch in classifier.batches] == [16] * 16
    assert all(len({len(encoding.ids) for encoding in batch}) == 1 for batch in classifier.batches), "nothing is padded"


def test_a_small_request_waits_for_one_batch_of_large_ones_at_most(classifier: Recording) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=100_000)
        large = batcher.submit(classifier, ["a long complaint about everything"] * 256, present)
        for _ in range(6):
            await asyncio.sleep(0)
        assert classifier.batches, "some of them are done"
        for _ in range(5):
            done = len(classifier.batches)
            await batcher.submit(classifier, ["refund"], present)
            assert len(classifier.batches) <= done + 2, "its own batch, and one of the others"
        assert not large.done()

    run(scenario)
