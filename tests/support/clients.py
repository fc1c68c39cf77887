"""Clients that keep a service busy while something happens to it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self


class Clients(ABC):
    """Several clients at once, each in a thread of its own, from the beginning of the block to its end."""

    def __init__(self, count: int) -> None:
        self.stopped = threading.Event()
        self._threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(count)]

    @abstractmethod
    def ask(self, number: int) -> None:
        """Ask as the client of this number, from 0, until `stopped` is set."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()
