"""What becomes of labels when a task changes: which of today's labels an earlier one certainly is."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.declaration import Label, Task


def map_labels(old: Sequence[Label], new: Task | Sequence[Label]) -> dict[int, int | None]:
    """Return, for the id of each label of a revision, what it is in the next one; None where that is uncertain.

    A label is certainly itself, under whatever name, or the one that replaces it. It is uncertain where it was removed,
    or split: where several labels replace it, or another one takes a part of it and it stays.
    """
    return map_through([old, new.labels if isinstance(new, Task) else new])


def map_through(revisions: Sequence[Sequence[Label]]) -> dict[int, int | None]:
    """Return, for the id of each label of the first of `revisions`, what it is in the last; None where uncertain.

    `revisions` are in order. A label that was removed is followed on: a later revision may bring it back, or name it in
    `replaces`. One that was split stays uncertain.
    """
    first, *later = revisions
    return {label.id: _follow(label.id, later) for label in first}


def _follow(label: int, revisions: Sequence[Sequence[Label]]) -> int | None:
    is_there = True
    for labels in revisions:
        takers = {one.id for one in labels if one.id == label or label in one.replaces}
        if len(takers) > 1:
            return None
        is_there = bool(takers)
        label = takers.pop() if takers else label
    return label if is_there else None
