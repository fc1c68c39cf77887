"""What the application and the people of a demo share, each of them a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from core.demo import DEMO_SUBJECT
from core.errors import RegradeError
from regrade.demo.access import Access
from regrade.demo.cast import Played
from regrade.demo.client import Client
from regrade.demo.counts import Counts
from regrade.demo.messages import Message

MARKED = {"metadata": {"demo": "true"}, "subject": DEMO_SUBJECT}
"""What every text is sent with."""


@dataclass
class Scene:
    """What the threads share: what each item's message is, as far as known, and what happened so far."""

    access: Access
    tasks: Sequence[Played]
    pace: float
    counts: dict[str, Counts]
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    known: dict[str, Message] = field(default_factory=dict)
    failure: RegradeError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sends(self) -> bool:
        """Tell whether the application still sends, and nothing has failed."""
        return self.threads[0].is_alive() and not self.stop.is_set()

    def count(self, task: Played, **more: int) -> None:
        """Add to the counts of `task`."""
        counts = self.counts[task.name]
        with self._lock:
            for name, n in more.items():
                setattr(counts, name, getattr(counts, name) + n)

    def start(self, person: str, seed: int, work: Callable[[Scene, Client, Random], None]) -> None:
        """Do `work` as `person` in a thread until it ends or fails; a failure ends everybody's."""
        thread = threading.Thread(target=self._run, args=(work, person, seed), name=person, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _run(self, work: Callable[[Scene, Client, Random], None], person: str, seed: int) -> None:
        client = Client(self.access.url, self.access.headers[person], self.stop)
        try:
            work(self, client, Random(seed))  # noqa: S311 - a play, and no secret
        except RegradeError as error:
            if not self.stop.is_set():
                self.failure = error
            self.stop.set()
        except BaseException:
            self.stop.set()
            raise
        finally:
            client.close()
