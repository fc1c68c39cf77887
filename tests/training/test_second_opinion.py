"""The rules by which rows are doubted and sources suspected, on figures made up for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.floods import BURST, FLIPPED, Heard, find_floods
from training.label_errors import confident_errors, find_label_errors, held_out
from training.snapshot_records import content_hash
from training.snapshot_rows import LEAST_WEIGHT, MOST_WEIGHT, weight_of

START = datetime(2031, 5, 4, tzinfo=UTC)
LABELS = ["parcel", "refund", "password"]


def clusters(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors in three clusters, and which each belongs to."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    vectors = np.eye(8)[targets] + 0.2 * rng.standard_normal((n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), targets


def heard(said: list[tuple[str, int, int, float]], apart: timedelta = timedelta(seconds=5)) -> Heard:
    """Return texts as `(person, given label, label the model is sure of, how sure)`."""
    chances = np.array([[sure if at == label else (1 - sure) / 2 for at in range(3)] for _, _, label, sure in said])
    at = [START + apart * number for number in range(len(said))]
    targets = np.array([given for _, given, _, _ in said])
    return Heard([person for person, *_ in said], at, targets, chances.astype(np.float32))


def test_flipped_labels_are_found_and_little_else() -> None:
    vectors, targets = clusters(600)
    wrong = np.arange(0, 600, 25)
    given_labels = targets.copy()
    given_labels[wrong] = (targets[wrong] + 1) % 3
    found = {error.position: error.label for error in find_label_errors(vectors, given_labels, np.arange(600), 3)}
    right = [at for at in wrong.tolist() if found.get(at) == targets[at]]
    assert len(right) >= 0.7 * len(wrong)
    assert len(found) - len(right) <= 3


def test_few_rows_or_one_label_say_nothing() -> None:
    vectors, targets = clusters(90)
    assert find_label_errors(vectors, targets, np.arange(90), 3) == []
    vectors, targets = clusters(300)
    assert find_label_errors(vectors, np.zeros(300, dtype=np.int64), np.arange(300), 3) == []


def test_near_copies_do_not_vouch_for_each_other() -> None:
    vectors, targets = clusters(300)
    copies = np.repeat(vectors[:1], 6, axis=0)
    table, labels = np.vstack([vectors, copies]), np.concatenate([targets, np.full(6, 2)])
    apart, together = np.arange(306), np.concatenate([np.arange(300), np.full(6, 300)])
    alone = held_out(table, labels, apart, 3)[300:, 2].mean()
    assert held_out(table, labels, together, 3)[300:, 2].mean() < alone


def test_a_row_counts_for_the_label_of_which_it_is_as_sure_as_its_rows_are() -> None:
    chances = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.85, 0.15, 0.0], [0.4, 0.3, 0.3]])
    errors = confident_errors(chances.astype(np.float32), np.array([0, 0, 1, 1, 1]))
    # Rows of label 0 get 0.85 on average, those of label 1 get 0.45: only the fourth counts for another label.
    assert [(error.position, error.label) for error in errors] == [(3, 0)]
    assert errors[0].margin == pytest.approx(0.7)


def test_a_burst_needs_many_in_an_hour_that_are_implausible() -> None:
    wrong = [("eve", 1, 0, 0.98)] * BURST
    (found,) = find_floods(heard(wrong), LABELS)
    assert (found.person, found.reason, found.since) == ("eve", "burst", START)
    assert found.figures["rows"] == BURST
    assert find_floods(heard(wrong[1:]), LABELS)[0].reason == "flip"
    assert find_floods(heard([("eve", 1, 0, 0.5)] * 500), LABELS) == []  # the model has no opinion
    assert find_floods(heard([("ann", 0, 0, 0.98)] * 500), LABELS) == []
    mixed = [("ann", at % 3 or 1, at % 3, 0.98) for at in range(300)]
    assert find_floods(heard(mixed), LABELS)[0].reason == "flip"  # a third is wrong: no burst


def test_slow_wrong_answers_are_held_against_others() -> None:
    wrong = [("eve", (at + 1) % 3, at % 3, 0.79 if at % 2 else 0.98) for at in range(150)]
    others = [(who, 0, 0, 0.9) for who in ("ann", "bob") for _ in range(25)]
    apart = timedelta(hours=1)
    assert [(one.person, one.reason) for one in find_floods(heard(wrong + others, apart), LABELS)] == [("eve", "share")]
    assert "share" not in {one.reason for one in find_floods(heard(wrong + others[:25], apart), LABELS)}


def test_a_flip_is_one_that_nobody_else_makes() -> None:
    flip = [("eve", 1, 0, 0.9)] * FLIPPED
    apart = timedelta(days=1)
    (found,) = find_floods(heard(flip, apart), LABELS)
    assert (found.reason, found.figures) == ("flip", {"rows": FLIPPED, "label": "parcel", "called": "refund"})
    assert find_floods(heard(flip[1:], apart), LABELS) == []
    agreed = [("ann", 1, 0, 0.9)] * 3 + [("ann", 0, 0, 0.9)] * 7
    assert find_floods(heard(flip + agreed, apart), LABELS) == []


@given(st.lists(st.floats(0, 1), max_size=6))
def test_weights_are_bounded_and_anybody_weighs_one(accuracies: list[float]) -> None:
    assert LEAST_WEIGHT <= weight_of(accuracies) <= MOST_WEIGHT
    assert weight_of([]) == weight_of([0.8]) == 1.0


@given(st.permutations(range(4)), st.integers(0, 3))
def test_content_is_the_same_in_any_order_and_another_with_any_change(order: list[int], changed: int) -> None:
    records = [
        {"use": "train", "text": f"text {at}", "label": "a", "soft": [], "weight": 1.0, "source": "base"}
        | {"resolution_id": None}
        for at in range(4)
    ]
    whole = content_hash("t", 1, ["a"], records)
    assert content_hash("t", 1, ["a"], [records[at] for at in order]) == whole
    assert content_hash("t", 2, ["a"], records) != whole
    for change in ({"text": "other"}, {"label": "b"}, {"weight": 0.5}, {"resolution_id": "x"}):
        some = [record | change if at == changed else record for at, record in enumerate(records)]
        assert content_hash("t", 1, ["a"], some) != whole
    assert content_hash("t", 1, ["a"], [*records, {"use": "aside"}]) == whole
