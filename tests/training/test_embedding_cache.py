from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.text import text_hash
from training import embedding_cache
from training.embedding_cache import FOLDER, MOST_ENCODERS, EmbeddingCache, forget_embeddings

TEXTS = ["where is my parcel", "Where is my parcel", "refund", "no password"]


def values(n: int, start: float = 0.0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return (np.arange(n * 3, dtype=np.float32) + start).reshape(n, 3)


def test_what_was_added_is_found_by_another(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path, "one").add(TEXTS, values(4))
    known, found = EmbeddingCache(tmp_path, "one").find(["new", TEXTS[2], TEXTS[1]])
    assert known == [1, 2]
    assert found is not None
    assert found.tolist() == values(4)[[2, 1]].tolist(), "copies that differ in case are different to an encoder"
    assert EmbeddingCache(tmp_path, "other").find(TEXTS) == ([], None)


def test_an_erased_text_is_gone_in_all_its_forms_and_no_text_is_kept(tmp_path: Path) -> None:
    for encoder in ("one", "two"):
        EmbeddingCache(tmp_path, encoder).add(TEXTS, values(4))
    assert forget_embeddings(tmp_path, [text_hash(TEXTS[0])]) == 4
    for encoder in ("one", "two"):
        known, _ = EmbeddingCache(tmp_path, encoder).find(TEXTS)
        assert known == [2, 3]
    assert forget_embeddings(tmp_path, [text_hash(TEXTS[0])]) == 0
    assert not any(b"parcel" in path.read_bytes() for path in tmp_path.rglob("*.npz"))


def test_hashes_that_end_in_zeros_are_found_and_erased(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(3000)]
    assert any(text_hash(text).endswith("00") for text in texts)
    cache = EmbeddingCache(tmp_path, "one")
    cache.add(texts, values(len(texts)))
    assert cache.find(texts)[0] == list(range(len(texts)))
    assert forget_embeddings(tmp_path, map_hashes(texts)) == len(texts)
    assert cache.find(texts) == ([], None)


def map_hashes(texts: list[str]) -> list[str]:
    return [text_hash(text) for text in texts]


def test_a_damaged_or_unfinished_shard_is_no_obstacle(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, "one")
    cache.add(TEXTS[:2], values(2))
    cache.add(TEXTS[2:], values(2, 50.0))
    shards = sorted((tmp_path / FOLDER / "one").glob("*.npz"))
    shards[0].write_bytes(shards[0].read_bytes()[:40])
    (tmp_path / FOLDER / "one" / "dead.123.draft").write_bytes(b"half")
    known, found = cache.find(TEXTS)
    assert len(known) == 2
    assert found is not None
    cache.add(TEXTS, values(4))
    assert cache.find(TEXTS)[0] == [0, 1, 2, 3]


def test_it_does_not_grow_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "MOST_TEXTS", 30)
    cache = EmbeddingCache(tmp_path, "one")
    for number in range(40):
        cache.add([f"text {number}"], values(1))
    kept = len(list((tmp_path / FOLDER / "one").glob("*.npz")))
    assert kept <= 9
    assert len(cache.find([f"text {number}" for number in range(40)])[0]) <= 31
    for name in "abcdef":
        EmbeddingCache(tmp_path, name).add(TEXTS, values(4))
    assert len(list((tmp_path / FOLDER).iterdir())) == MOST_ENCODERS
