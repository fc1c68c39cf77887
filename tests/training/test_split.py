from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.near import groups, near_twins
from training.rows import Row
from training.split import KEEP, _Sharing, split_rows

WORDS = [
    "parcel",
    "refund",
    "card",
    "late",
    "money",
    "door",
    "green",
    "slow",
    "train",
    "cloud",
    "seven",
    "river",
    "lamp",
    "code",
    "paper",
]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
labelled = st.lists(st.tuples(texts, st.sampled_from("abc")), min_size=1, max_size=60)
SHARES = {"validation": 0.15, "calibration": 0.15}


@settings(deadline=None, max_examples=40)
@given(labelled, st.integers(0, 5))
def test_split_is_a_partition_that_keeps_groups_whole(pairs: list[tuple[str, str]], seed: int) -> None:
    rows = [Row(text, label) for text, label in pairs]
    parts = split_rows(rows, SHARES, seed)
    assert sorted(position for part in parts.values() for position in part) == list(range(len(rows)))
    assert parts == split_rows(rows, SHARES, seed)
    where = {position: name for name, part in parts.items() for position in part}
    for group in set(found := groups([row.text for row in rows]).tolist()):
        assert len({where[position] for position, its in enumerate(found) if its == group}) == 1
    totals = Counter(row.label for row in rows)
    kept = Counter(rows[position].label for position in parts["train"])
    assert all(kept[label] >= min(KEEP, n) for label, n in totals.items())
    assert all(len(parts[name]) <= round(len(rows) * share) for name, share in SHARES.items())


def test_labels_get_their_share() -> None:
    rng = np.random.default_rng(0)
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    rows = [Row("".join(rng.choice(alphabet, 12)), str(at % 4)) for at in range(400)]
    parts = split_rows(rows, {"gold": 0.2}, 7)
    assert Counter(rows[position].label for position in parts["gold"]) == {"0": 20, "1": 20, "2": 20, "3": 20}


def test_many_rows_are_shared_out_in_linear_time() -> None:
    n = 60_000
    sharing = _Sharing([str(at % 4) for at in range(n)], {"gold": 0.2})
    started = time.perf_counter()
    placed = [at for at in range(n) if sharing.place([at], fill=False)]
    assert time.perf_counter() - started < 5  # well under one; a pass over all rows for each placed takes over ten
    parts = sharing.parts()
    assert parts["gold"] == placed
    assert len(placed) == n // 5
    assert parts["train"] == sorted(set(range(n)) - set(placed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I want to cancel my order", "I don't want to cancel my order"),
        ("cancel my order", "don't cancel my order"),
        ("Where is my PARCEL?", "where  is my parcel"),
    ],
)
def test_near_copies_group(one: str, other: str) -> None:
    found = groups([one, "my card was declined at the shop", other])
    assert found[0] == found[2] != found[1]


def test_near_twins_are_closer_than_groups() -> None:
    others = ["where is my parcel today", "how do I reset my password"]
    found = near_twins(["Where is my parcel, today?", "reset", "completely different words"], others)
    assert found.tolist() == [True, False, False]
    assert near_twins(["a"], []).tolist() == [False]


def test_projection_finds_what_the_exact_cosine_does() -> None:
    rng = np.random.default_rng(1)
    rows = [" ".join(rng.choice(WORDS, 5)) for _ in range(300)]
    from training.near import ALIKE, _vectors

    vectors = _vectors(rows)
    exact = (vectors @ vectors.T).toarray() >= ALIKE
    found = groups(rows)
    assert all(found[a] == found[b] for a, b in zip(*np.nonzero(exact), strict=True))
