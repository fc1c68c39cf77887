"""What tests of queues before a runner share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from service.classifier import Classifier, load_classifier
from service.encoding import Encoding
from service.runner import Floats


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def present() -> bool:
    return False


class Poisoned(Classifier):
    """The real tiny model, which can be told to fail on a token."""

    def __init__(self, folder: Path) -> None:
        self.__dict__.update(load_classifier(folder).__dict__)
        self.poison: int | None = None

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        if self.poison is not None and any(self.poison in encoding.ids for encoding in encodings):
            raise RuntimeError("the graph failed")
        return super().compute(encodings)
