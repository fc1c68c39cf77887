"""The recorder and housekeeping by themselves, on real databases: limits, and a store that hangs."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from core.settings import load_settings
from feedback.duties import find_duty
from feedback.recording import PREDICTION, forward_predictions
from feedback.spool import Spool
from feedback.store import Store
from service import recorder as recorder_module
from service.housekeeping import Duty, Housekeeping, usual_duties
from service.metrics import Metrics
from service.recorder import Recorder
from tests.support.memory import item_ids, linked
from tests.support.predicted import recording


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_beyond_its_room_predictions_are_lost_and_counted_and_the_rest_is_kept(
    store: Store, spool: Spool, registry: CollectorRegistry
) -> None:
    recorder = Recorder(store, spool, Metrics(registry), most_waiting=10)

    async def fill() -> None:
        assert await recorder.remember([recording(f"a {number}") for number in range(8)]) == {}
        assert await recorder.remember([recording("too many", "audit") for _ in range(3)]) == {}
        assert await recorder.remember([recording("fits")]) == {}

    asyncio.run(fill())
    recorder.start()
    recorder.close()
    assert registry.get_sample_value("regrade_records_lost_total") == 3
    assert registry.get_sample_value("regrade_records_total") == 9
    assert len(linked(store)) == 9


def test_a_request_larger_than_all_room_is_taken_when_nothing_waits(
    store: Store, spool: Spool, registry: CollectorRegistry
) -> None:
    recorder = Recorder(store, spool, Metrics(registry), most_waiting=4)
    recorder.start()
    batch = [recording(f"a {number}", "audit") for number in range(6)]
    assert asyncio.run(recorder.remember(batch)).keys() == {one.id for one in batch}
    recorder.close()


def test_a_store_that_hangs_is_waited_for_only_so_long(
    store: Store, spool: Spool, registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the right to write and never gives it back; the reply's item id stays valid all the same."""
    monkeypatch.setattr(recorder_module, "_PATIENCE_S", 0.2)
    recorder = Recorder(store, spool, Metrics(registry))
    recorder.start()
    one = recording("waits", "audit")
    assert one.item is not None
    with (tmp_path / "store.sqlite3.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        assert asyncio.run(recorder.remember([one])) == {one.id: one.item.id}
        assert spool.count() == 1
        monkeypatch.setattr(recorder_module, "_PATIENCE_S", 600)
        for other in (recording("does not wait", "audit"), recording("nobody is asked")):
            asyncio.run(asyncio.wait_for(recorder.remember([other]), 60))
        assert spool.count() == 3
    recorder.close()
    assert spool.forward(store, {PREDICTION: forward_predictions}) == 0
    assert linked(store)[one.id] == one.item.id
    assert len(linked(store)) == 3
    assert len(item_ids(store)) == 2


def test_duties_run_again_and_again_but_in_one_place(store: Store) -> None:
    ran: list[str] = []

    async def keep() -> None:
        houses = [
            Housekeeping(
                store,
                [
                    Duty("often", 0.05, lambda _, who=who: ran.append(f"often {who}")),  # type: ignore[misc]
                    Duty("fails", 0.05, lambda _: int("wrong")),
                    Duty("rarely", 3600, lambda _, who=who: ran.append(f"rarely {who}")),  # type: ignore[misc]
                ],
            )
            for who in ("a", "b")
        ]
        for house in houses:
            house.start()
        while len(ran) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for house in houses:
            await house.stop()

    asyncio.run(keep())
    assert len({name for name in ran if name.startswith("often")}) == 1
    assert find_duty(store, "fails")[0] is not None


def test_a_slow_duty_is_done_once_for_all_processes(store: Store) -> None:
    ran: list[str] = []
    duty = Duty("rarely", 3600, lambda _: ran.append("once"))
    houses = [Housekeeping(store, [duty]) for _ in range(3)]
    for house in houses * 2:
        house.do_if_due(duty)
    assert ran == ["once"]
    found, now = find_duty(store, "rarely")
    assert found is not None
    assert found.done_at is not None
    assert found.until <= now


def test_the_usual_duties_do_no_harm_to_an_empty_store(store: Store, tmp_path: Path) -> None:
    for duty in usual_duties(load_settings(home=tmp_path), dict):
        duty.run(store)
