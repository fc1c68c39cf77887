"""What a person sees while a model is trained, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

Advance = Callable[..., None]
"""Called with the number of units done; `note="…"` also changes the words behind the bar."""

Told = Callable[[str, float], None]
"""Called with a stage's name, and the words behind its bar if there are any, and how much is done, 0 to 1."""


class Stages:
    """Named stages of one training run: a progress bar each on standard error, and their `seconds`."""

    def __init__(self, *, shown: bool = True, told: Told | None = None) -> None:
        """Show bars unless `shown` is False; the times are kept either way. `told` hears of every step of every bar."""
        self.seconds: dict[str, float] = {}
        self._told = told
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not shown,
        )

    def __enter__(self) -> Stages:
        """Start showing the bars."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Advance]:
        """Time one stage of `total` units; the bar is full when it ends without an error.

        A stage entered twice adds up.
        """
        bar = self._bars.add_task(name, total=max(total, 1), note="")
        started = time.perf_counter()
        finished, said = 0, name
        self._tell(said, 0.0)

        def advance(done: int = 1, note: str | None = None) -> None:
            nonlocal finished, said
            finished += done
            said = f"{name}: {note}" if note is not None else said
            self._tell(said, min(1.0, finished / max(total, 1)))
            self._bars.update(bar, advance=done)
            if note is not None:
                self._bars.update(bar, note=note)

        try:
            yield advance
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self._bars.update(bar, completed=max(total, 1))

    def _tell(self, name: str, share: float) -> None:
        if self._told is not None:
            self._told(name, share)
