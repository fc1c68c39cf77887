"""What a worker does again and again: nothing that goes wrong on the way ends it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from core.errors import UnavailableError
from service.watching import watch

LOGGER = logging.getLogger("regrade.live")


def run(every_s: float, turns: int, *, at_once: bool = False) -> list[int]:
    """Watch something that fails at first, in two ways, for some turns of the loop; it ends by itself after four."""
    done: list[int] = []
    failures: list[Exception] = [UnavailableError("the store is away"), ValueError("unforeseen")]

    async def do() -> None:
        done.append(len(done))
        if failures:
            raise failures.pop(0)
        if len(done) == 4:
            raise asyncio.CancelledError

    async def until_it_ends() -> None:
        watching = asyncio.create_task(watch(do, every_s, LOGGER, "the deployments cannot be read", at_once=at_once))
        for _ in range(turns):
            await asyncio.sleep(0)
        watching.cancel()

    asyncio.run(until_it_ends())
    return done


def test_what_goes_wrong_is_said_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    assert run(0.0, 20) == [0, 1, 2, 3]
    expected, unforeseen = caplog.records
    assert expected.getMessage() == "the deployments cannot be read: the store is away"
    assert (expected.levelname, expected.exc_info) == ("WARNING", None)
    assert unforeseen.getMessage() == "the deployments cannot be read; trying again"
    assert unforeseen.exc_info is not None


def test_the_first_time_comes_after_a_wait_unless_asked_for_at_once() -> None:
    assert run(3600.0, 20) == []
    assert run(3600.0, 20, at_once=True) == [0]
