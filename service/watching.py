"""What a worker does again and again while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from logging import Logger

from core.errors import RegradeError


async def watch(
    do: Callable[[], Awaitable[object]], every_s: float, logger: Logger, failure: str, *, at_once: bool = False
) -> None:
    """Do it every `every_s` seconds until cancelled, whatever goes wrong; `at_once` does not wait before the first.

    What goes wrong is logged after the words of `failure`: an error of ours in a line, any other with its traceback.
    """
    if not at_once:
        await asyncio.sleep(every_s)
    while True:
        try:
            await do()
        except RegradeError as error:
            logger.warning("%s: %s", failure, error)
        except Exception:
            logger.exception("%s; trying again", failure)
        await asyncio.sleep(every_s)
