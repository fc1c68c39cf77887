"""The queue before a GPU: it gathers, computes beside the event loop, and is as fair and harmless as the CPU's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from core.errors import CallerGoneError, OverloadedError
from service.buckets import MAX_TEXTS
from service.encoding import Encoding
from service.filling import FillingBatcher
from service.metrics import Metrics
from service.runner import Floats
from tests.support.batches import Poisoned, present, run


class Held(Poisoned):
    """The real tiny model, which computes only while it is let, and remembers its batches and their threads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.let = threading.Event()
        self.let.set()

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        assert self.let.wait(30)
        self.batches.append(len(encodings))
        self.threads.add(threading.get_ident())
        return super().compute(encodings)


@pytest.fixture
def classifier(tiny_version: Path) -> Held:
    return Held(tiny_version)


def make_batcher(timeout_s: float = 60.0, max_queue: int = 2_000) -> FillingBatcher:
    return FillingBatcher(Metrics(CollectorRegistry()), max_queue=max_queue, batch_tokens=16_384, timeout_s=timeout_s)


def test_answers_come_in_order_and_equal_those_of_the_model_alone(classifier: Held) -> None:
    texts = [f"where is my parcel {'very ' * count}late" for count in range(200)]
    alone = classifier.classify(texts).scores.probabilities

    async def scenario() -> None:
        batcher = make_batcher()
        judged = await batcher.submit(classifier, texts, present)
        assert [one.probabilities.argmax() for one in judged] == alone.argmax(axis=1).tolist()
        assert batcher.waiting_texts == 0

    run(scenario)


def test_texts_that_come_one_after_the_other_share_a_batch(classifier: Held) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        waiting = []
        for _ in range(8):
            waiting.append(batcher.submit(classifier, ["refund please"], present))
            await asyncio.sleep(0)  # the loop has its turn, as between requests: a CPU would have begun
        await asyncio.gather(*waiting)

    run(scenario)
    assert classifier.batches[0] > 1


def test_the_loop_goes_on_while_a_batch_is_computed(classifier: Held) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        classifier.let.clear()
        first = batcher.submit(classifier, ["refund"], present)
        await asyncio.sleep(0.05)
        others = [batcher.submit(classifier, ["parcel"], present) for _ in range(10)]
        await asyncio.sleep(0.05)
        assert not first.done()
        classifier.let.set()
        await asyncio.gather(first, *others)

    run(scenario)
    assert classifier.batches == [1, 10], "what came meanwhile gathered"
    assert threading.get_ident() not in classifier.threads


def test_a_full_batch_is_made_ready_while_another_is_computed(classifier: Held) -> None:
    async def scenario() -> None:
        batcher = make_batcher()
        classifier.let.clear()
        first = batcher.submit(classifier, ["refund"], present)
        await asyncio.sleep(0.05)
        others = [batcher.submit(classifier, ["parcel"], present) for _ in range(MAX_TEXTS)]
        late = batcher.submit(classifier, ["password"], lambda: True)
        await asyncio.sleep(0.05)
        with pytest.raises(CallerGoneError):  # it was looked at: the next batch is ready
            await late
        assert not any(one.done() for one in (first, *others))
        classifier.let.set()
        await asyncio.gather(first, *others)

    run(scenario)
    assert classifier.batches == [1, MAX_TEXTS]


def test_a_text_that_fails_harms_only_its_own_request(classifier: Held) -> None:
    bad = "zzz"
    classifier.poison = next(token for token in classifier.prepare(bad).ids[1:-1])

    async def scenario() -> None:
        batcher = make_batcher()
        results = await asyncio.gather(
            *(batcher.submit(classifier, [text], present) for text in ("refund", bad, "parcel")), return_exceptions=True
        )
        assert [type(result) for result in results] == [list, RuntimeError, list]
        assert batcher.waiting_texts == 0

    run(scenario)


def test_cancelled_expired_and_surplus_requests_are_not_computed(classifier: Held) -> None:
    async def scenario() -> None:
        batcher = make_batcher(max_queue=10)
        batcher.submit(classifier, ["refund"] * 9, present).cancel()
        await asyncio.sleep(0)
        large = batcher.submit(classifier, ["parcel"] * 20, present)
        with pytest.raises(OverloadedError, match="20 texts are waiting and 10 may"):
            batcher.submit(classifier, ["refund"], present)
        assert len(await large) == 20
        late = make_batcher(timeout_s=-1.0)
        with pytest.raises(OverloadedError, match="waited longer"):
            await late.submit(classifier, ["refund"], present)
        assert batcher.waiting_texts == late.waiting_texts == 0

    run(scenario)
    assert sum(classifier.batches) == 20
