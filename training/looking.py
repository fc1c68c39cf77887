"""Looking again and again, in a process or thread of its own, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from threading import Event

from core.errors import RegradeError


def look_until(
    stop: Event, look: Callable[[], object], logger: Logger, failure: str, *, every_s: float, after_failure_s: float
) -> None:
    """Look every `every_s` seconds until `stop` is set, and `after_failure_s` later where something went wrong.

    What goes wrong is logged: an error of ours in a line after the words of `failure`, any other with its traceback.
    """
    while not stop.is_set():
        try:
            look()
        except RegradeError as error:
            logger.warning("%s: %s", failure, error)
            stop.wait(after_failure_s)
        except Exception:
            logger.exception("something went wrong; going on")
            stop.wait(after_failure_s)
        stop.wait(every_s)
