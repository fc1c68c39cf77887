"""Structured logs: one JSON object a line on standard output, never holding a message's text."""

from __future__ import annotations

import logging
import sys

from pydantic import ValidationError
from pythonjsonlogger.json import JsonFormatter


def configure_logging(level: str) -> None:
    """Send what `regrade` loggers say at `level` or above to standard output, as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}{process}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    logger = logging.getLogger("regrade")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    for name in ("bentoml", "bentoml.serve", "bentoml._internal.server.http_app"):
        logging.getLogger(name).addFilter(_without_values)


def _without_values(record: logging.LogRecord) -> bool:
    """Strip the traceback of a validation error: pydantic repeats the wrong value in it, which may be a text."""
    if record.exc_info and isinstance(record.exc_info[1], ValidationError):
        record.exc_info = None
    return True
