"""What labels of earlier revisions are today."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.declaration import Label
from tasks.revisions import map_through


def labels(*rows: tuple[int, list[int]] | int) -> list[Label]:
    pairs = [(row, []) if isinstance(row, int) else row for row in rows]
    return [Label(id=number, name=f"label {number}", replaces=replaces) for number, replaces in pairs]


def test_labels_that_stay_are_themselves_whatever_they_are_called() -> None:
    renamed = [Label(id=1, name="another name"), Label(id=2, name="label 2"), Label(id=3, name="new")]
    assert map_through([labels(1, 2), renamed]) == {1: 1, 2: 2}


def test_a_merger_is_certain() -> None:
    assert map_through([labels(1, 2, 3), labels((4, [1, 2]), 3)]) == {1: 4, 2: 4, 3: 3}
    assert map_through([labels(1, 2), labels((1, [2]), 3)]) == {1: 1, 2: 1}


def test_what_was_removed_or_split_is_uncertain() -> None:
    assert map_through([labels(1, 2), labels(1, 3)]) == {1: 1, 2: None}
    assert map_through([labels(1, 2), labels((3, [1]), (4, [1]), 2)]) == {1: None, 2: 2}
    assert map_through([labels(1, 2), labels(1, (3, [1]), 2)]) == {1: None, 2: 2}


def test_chains_compose() -> None:
    first, second, third = labels(1, 2, 3), labels((4, [1, 2]), 3), labels((5, [4]), 3)
    assert map_through([first, second, third]) == {1: 5, 2: 5, 3: 3}
    split = labels((6, [4]), (7, [4]), 3)
    assert map_through([first, second, split]) == {1: None, 2: None, 3: 3}
    assert map_through([first, second, split, labels((8, [6, 7]), 3)]) == {1: None, 2: None, 3: 3}


def test_a_removed_label_can_be_brought_back_or_taken_over_later() -> None:
    first, second = labels(1, 2, 3), labels(2, 3)
    assert map_through([first, second, labels(1, 2, 3)]) == {1: 1, 2: 2, 3: 3}
    assert map_through([first, second, labels((4, [1]), 2, 3)]) == {1: 4, 2: 2, 3: 3}


def test_merging_twice_by_the_same_words_changes_nothing() -> None:
    first, merged = labels(1, 2, 3), labels((4, [1, 2]), 3)
    assert map_through([first, merged, merged, merged]) == map_through([first, merged])


_revision = st.lists(
    st.tuples(st.integers(1, 6), st.lists(st.integers(1, 6), max_size=3)),
    min_size=1,
    max_size=5,
    unique_by=lambda r: r[0],
).map(lambda rows: labels(*rows))


@given(st.lists(_revision, min_size=1, max_size=4))
def test_every_label_is_mapped_to_one_of_the_last_revision_or_to_nothing(revisions: list[list[Label]]) -> None:
    found = map_through(revisions)
    assert found.keys() == {label.id for label in revisions[0]}
    assert set(found.values()) <= {label.id for label in revisions[-1]} | {None}
