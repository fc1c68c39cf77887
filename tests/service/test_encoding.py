"""Tokens: the shortcut for long texts gives what the whole text would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from core.errors import ModelError
from service.encoding import Encoder, Encoding, load_encoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]


def make_encoder(max_length: int) -> Encoder:
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return Encoder(tokenizer, max_length)


ENCODER = make_encoder(8)


def whole(text: str) -> Encoding:
    ids = ENCODER.tokenizer.encode(text).ids
    return Encoding(ids, False, text) if len(ids) <= 8 else Encoding([*ids[:7], ids[-1]], True, text)


@given(st.text(alphabet=st.sampled_from("ab é中😀\n\u00a0.,-"), max_size=600))
def test_the_shortcut_changes_nothing(text: str) -> None:
    assert ENCODER.encode(text) == whole(text)


def test_long_words_of_one_token_are_not_cut_short() -> None:
    text = f"{'x' * 400} a"
    assert ENCODER.encode(text) == whole(text) == Encoding([2, 1, WORDS.index("a"), 3], False, text)


def test_padding_is_at_the_end_and_masked() -> None:
    ids, mask = ENCODER.pad([ENCODER.encode("abc"), ENCODER.encode("a")])
    assert ids.shape == mask.shape == (2, 5)
    assert ids[1].tolist()[3:] == [0, 0]
    assert mask.tolist() == [[1] * 5, [1, 1, 1, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_a_file_that_is_no_tokenizer_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="not a usable tokenizer"):
        load_encoder(path, 8)
