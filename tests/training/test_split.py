from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.near import groups
from training.rows import Row
from training.split import KEEP, divide, split_rows

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


def made_up(n: int, n_labels: int) -> list[Row]:
    rng = np.random.default_rng(1)
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return [Row("".join(rng.choice(alphabet, 12)), str(at % n_labels)) for at in range(n)]


@pytest.mark.parametrize(("n", "inside"), [(100, 10), (1000, 100), (5000, 400)])
def test_certification_rows_are_apart(n: int, inside: int) -> None:
    rows, outside = made_up(n, 5), made_up(n + 100, 1)[n:]
    found = divide(rows, outside, 3)
    learning, certifying = {id(row) for row in found.rows}, {id(row) for row in found.certification}
    assert len(found.certification) == inside + round(100 * inside / n)
    assert not certifying & (learning | {id(row) for row in found.outside})
    assert learning | certifying | {id(row) for row in found.outside} == {id(row) for row in [*rows, *outside]}
    parts = [position for part in found.parts.values() for position in part]
    assert sorted(parts) == list(range(len(found.rows)))


def test_few_out_of_scope_rows_only_fit_the_curve() -> None:
    outside = made_up(19, 1)
    found = divide(made_up(200, 2), outside, 3)
    assert found.outside == outside
    assert len(found.certification) == 20
