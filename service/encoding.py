"""From text to token ids, the same way in training and in serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from core.errors import ModelError

Ints = NDArray[np.int64]

_CHARACTERS_A_TOKEN = 16
"""Characters a token that are tokenised at first; longer texts are finished only if that gave too few tokens."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text's token ids with the special ones, at most `max_length`, and whether any were cut off; and the `text`."""

    ids: list[int]
    truncated: bool
    text: str


class Encoder:
    """A tokenizer and the number of tokens its model sees."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        """Use `tokenizer`, which neither truncates nor pads: as `read_tokenizer` gives it, perhaps to several."""
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.pad_id = next((i for i in map(tokenizer.token_to_id, ("[PAD]", "<pad>")) if i is not None), 0)

    def encode(self, text: str) -> Encoding:
        """Tokenise `text`; where it is too long, keep the beginning and the closing special token."""
        limit = self.max_length
        ids: list[int] = self.tokenizer.encode(_prefix(text, limit * _CHARACTERS_A_TOKEN)).ids
        if len(ids) <= limit and len(text) > limit * _CHARACTERS_A_TOKEN:
            ids = self.tokenizer.encode(text).ids
        if len(ids) <= limit:
            return Encoding(ids, truncated=False, text=text)
        return Encoding([*ids[: limit - 1], ids[-1]], truncated=True, text=text)

    def pad(self, encodings: Sequence[Encoding]) -> tuple[Ints, Ints]:
        """Return `input_ids` and `attention_mask`, `(n_texts, longest)`; padding is at the end."""
        if len(encodings) == 1:
            ids = np.array([encodings[0].ids], dtype=np.int64)
            return ids, np.ones_like(ids)
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.full((len(encodings), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(encodings), longest), dtype=np.int64)
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            ids[row, :length] = encoding.ids
            mask[row, :length] = 1
        return ids, mask


def _prefix(text: str, length: int) -> str:
    """Cut `text` at the last white space within `length`: the words before it are tokenised as in the whole text."""
    if len(text) <= length:
        return text
    words = text[:length].rsplit(None, 1)
    return words[0] if len(words) == 2 else text


def load_encoder(path: Path, max_length: int) -> Encoder:
    """Read a `tokenizer.json`; raises as `read_tokenizer` does."""
    return Encoder(read_tokenizer(path), max_length)


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`; its own truncation and padding are switched off.

    Raises:
        ModelError: the file is missing or is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise ModelError(f"{path} is not a usable tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
