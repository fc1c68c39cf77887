"""Versions of several tasks on one encoder, asked about the same texts: one pass, many heads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from service.classifier import Classifier, Judged
from service.encoding import Encoding
from service.runner import Floats


@dataclass(frozen=True, slots=True)
class _PartedEncoding(Encoding):
    """A text as most heads see it, and as it is for each of those, by position, that see it otherwise."""

    apart: Mapping[int, Encoding]


class Heads:
    """Several versions with one `shared` encoder, in the place of one: a text is tokenised and computed once for all.

    Tasks may redact other kinds of number, or cut texts at other lengths: a text that a version sees otherwise than the
    first is computed for it by itself.
    """

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        """Ask `classifiers`, all on the same encoder."""
        self.classifiers = tuple(classifiers)
        self.shared = classifiers[0].shared

    def prepare(self, text: str) -> Encoding:
        """Redact and tokenise a text, once for all who see it alike."""
        first, *others = self.classifiers
        encoding = first.prepare(text)
        apart = {
            position: other.prepare(text)
            for position, other in enumerate(others, 1)
            if not _alike(first, other, text, encoding)
        }
        return _PartedEncoding(encoding.ids, encoding.truncated, encoding.text, apart) if apart else encoding

    def compute(self, encodings: Sequence[Encoding]) -> tuple[Floats, Floats]:
        """Return what the encoder makes of one batch, as `Classifier.compute` does."""
        return self.classifiers[0].compute(encodings)

    def judged(self, encodings: Sequence[Encoding], logits: Floats, embeddings: Floats) -> list[Judged]:
        """Return what the first version says of each text, with what the `others` say."""
        first, *others = (
            _judged_by(position, classifier, encodings, logits, embeddings)
            for position, classifier in enumerate(self.classifiers)
        )
        return [replace(one, others=rest) for one, *rest in zip(first, *others, strict=True)]


def _alike(first: Classifier, other: Classifier, text: str, encoding: Encoding) -> bool:
    """Tell whether `other` sees `text` as `first` does, by the `encoding` of that one."""
    if other.redact.kinds != first.redact.kinds and other.redact(text) != encoding.text:
        return False
    longest, own = first.manifest.max_length, other.manifest.max_length
    return longest == own or (not encoding.truncated and len(encoding.ids) <= own)


def _judged_by(
    position: int, classifier: Classifier, encodings: Sequence[Encoding], logits: Floats, embeddings: Floats
) -> list[Judged]:
    found = classifier.judged(encodings, logits, embeddings)
    for row, encoding in enumerate(encodings):
        if isinstance(encoding, _PartedEncoding) and position in encoding.apart:
            own = [encoding.apart[position]]
            found[row] = classifier.judged(own, *classifier.compute(own))[0]
    return found


HeadsInUse = WeakValueDictionary[tuple[int, ...], Heads]
"""Heads by the identities of their versions, for as long as a request holds them."""


def by_encoder(classifiers: Iterable[Classifier], in_use: HeadsInUse) -> list[Classifier | Heads]:
    """Put together those of `classifiers` that stand on the same encoder.

    Requests to the same versions at the same time get the same `Heads`, so that their texts are judged together.
    """
    groups: dict[int, list[Classifier]] = {}
    for classifier in classifiers:
        groups.setdefault(id(classifier.shared), []).append(classifier)
    found: list[Classifier | Heads] = []
    for group in groups.values():
        key = tuple(id(classifier) for classifier in group)
        found.append(group[0] if len(group) == 1 else in_use.get(key) or in_use.setdefault(key, Heads(group)))
    return found
