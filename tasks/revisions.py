"""What becomes of labels when a task changes: which of today's labels an earlier one certainly is."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.declaration import Label


def map_through(revisions: Sequence[Sequence[Label]]) -> dict[int, int | None]:
    """Return, for the id of each label of the first of `revisions`, what it is in the last; None where uncertain.

    `revisions` are in order. A label is certainly itself, under whatever name, or the one that replaces it. It is
    uncertain where it was split: where several labels replace it, or another one takes a part of it and it stays. One
    that was removed is uncertain too, unless a later revision brings it back, or names it in `replaces`.
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
