"""Answers kept for exact repeats of a text, in one worker's memory; off unless asked for.

An answer belongs to one model version and one redacted text: another version, be it live later or on trial, answers by
itself, and two texts that differ only in what is redacted are one. It is kept under a hash, so that no text stays here
after it was erased. What a repeat saves is the tokenizer and the encoder; it is a prediction of its own all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from service.classifier import Classifier, Judged
from service.heads import Heads
from service.metrics import Metrics
from service.runner import Floats

_Key = tuple[str, bytes]
_Kept = tuple[Floats, float, bool]
"""Probabilities, out-of-scope score, and whether the text was cut."""


class Answers:
    """The answers to the texts that came last."""

    def __init__(self, entries: int, metrics: Metrics) -> None:
        """Keep at most `entries`, at least one."""
        self._entries = entries
        self._metrics = metrics
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def find(self, asked: Classifier | Heads, text: str) -> Judged | None:
        """Return what each version that is `asked` said of `text`, not redacted yet, or None unless all are known."""
        found: list[Judged] = []
        for one in asked.classifiers:
            redacted = one.redact(text)
            kept = self._kept.get(key := _key(one, redacted))
            if kept is None:
                return None
            self._kept.move_to_end(key)
            found.append(Judged(*kept, redacted))
        for one in asked.classifiers:
            self._metrics.repeated(one)
        found[0].others = found[1:]
        return found[0]

    def keep(self, asked: Classifier | Heads, judged: Judged) -> None:
        """Keep what each version that was `asked` said of a text."""
        for one, said in zip(asked.classifiers, (judged, *judged.others), strict=True):
            # A copy: the row would keep the answers to its whole batch alive.
            self._kept[_key(one, said.text)] = said.probabilities.copy(), said.out_of_scope, said.truncated
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)


def _key(classifier: Classifier, redacted: str) -> _Key:
    return classifier.manifest.version, sha256(redacted.encode()).digest()
