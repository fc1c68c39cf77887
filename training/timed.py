"""What two models cost for the same texts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from service.classifier import Classifier
from service.encoding import Encoding

_ROUNDS = 7
TIMED_TEXTS = 16
_BATCH = 8


def time_both(champion: Classifier, candidate: Classifier, texts: Sequence[str]) -> tuple[float, float]:
    """Return the milliseconds of processor time that each takes for a text, in batches of 8; zeros without texts.

    Both take turns, so that whatever else the machine does meets them alike, and the quickest of seven rounds counts:
    other work only ever makes a round slower. A session computes in the thread that calls it, whose time is taken, so
    that waiting for a core does not count.
    """
    chosen = list(texts[:TIMED_TEXTS])
    if not chosen:
        return 0.0, 0.0
    models = (champion, candidate)
    batches = [_batches(model, chosen) for model in models]
    best = [float("inf"), float("inf")]
    for turn in range(_ROUNDS):
        for number in (0, 1) if turn % 2 else (1, 0):
            started = time.thread_time()
            for batch in batches[number]:
                models[number].score(batch)
            best[number] = min(best[number], time.thread_time() - started)
    return best[0] / len(chosen) * 1000, best[1] / len(chosen) * 1000


def _batches(model: Classifier, texts: Sequence[str]) -> list[list[Encoding]]:
    encodings = [model.prepare(text) for text in texts]
    return [encodings[start : start + _BATCH] for start in range(0, len(encodings), _BATCH)]
