"""Counting by name, for what may happen only so often."""

from __future__ import annotations

import math
import time

_MAX_NAMES = 10_000
"""Names that are counted in one window; beyond, every new name counts as full, so that a flood costs no memory."""


class Throttle:
    """At most `limit` events of each name in a window of `seconds`; each process counts for itself."""

    def __init__(self, limit: int, seconds: float = 60.0) -> None:
        """Begin with nothing counted."""
        self._limit = limit
        self._seconds = seconds
        self._since = time.monotonic()
        self._counts: dict[str, int] = {}

    def is_full(self, name: str) -> bool:
        """Tell whether `name` has used up its events."""
        self._turn()
        return self._counts.get(name, 0 if len(self._counts) < _MAX_NAMES else self._limit) >= self._limit

    def take(self, name: str) -> bool:
        """Count one event of `name`; tell whether it was within the limit."""
        if self.is_full(name):
            return False
        self._counts[name] = self._counts.get(name, 0) + 1
        return True

    @property
    def left_s(self) -> int:
        """Whole seconds until the next window begins; at least 1."""
        return max(1, math.ceil(self._since + self._seconds - time.monotonic()))

    def _turn(self) -> None:
        if time.monotonic() - self._since >= self._seconds:
            self._since = time.monotonic()
            self._counts.clear()
