"""Items that an expert must decide after others were asked, with everything that was said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Float, Row, bindparam, func, select, tuple_

from core.roles import Caller
from feedback.schema import answers, items, reports, resolutions, slots, texts, undoings
from feedback.schema.base import Id
from feedback.schema.queue import DISPUTED
from feedback.store import Store
from feedback.values import in_words, label_names
from tasks.declaration import Task

COUNTED = 1_000
"""Disputes that are counted at most."""

Place = tuple[float, str]
"""Where a dispute stands in the queue: its rank, and its item's id."""

_BEGINNING: Place = (-1e300, "")
_WAITING = (
    select(slots.c.rank, slots.c.item_id)
    .add_columns(slots.c.annotator, slots.c.lease_expires_at)
    .where(slots.c.task == bindparam("of"), DISPUTED)
    .where(tuple_(slots.c.rank, slots.c.item_id) > tuple_(bindparam("rank", type_=Float), bindparam("item", type_=Id)))
    .order_by(slots.c.rank, slots.c.item_id)
    .limit(bindparam("most"))
)
_COUNTED = select(slots.c.id).where(slots.c.task == bindparam("of"), DISPUTED).limit(COUNTED).subquery()
_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_ITEMS = (
    select(items)
    .add_columns(texts.c.content, resolutions.c.value, resolutions.c.method)
    .outerjoin(texts, texts.c.id == items.c.text_id)
    .outerjoin(resolutions, resolutions.c.id == items.c.resolution_id)
    .where(items.c.id.in_(_IDS))
)
_comment, _proposed = texts.alias("comment"), texts.alias("proposed")
_VOTES = (
    select(answers)
    .add_columns(_comment.c.content.label("comment"), _proposed.c.content.label("proposed"))
    .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    .outerjoin(_comment, _comment.c.id == answers.c.comment_id)
    .outerjoin(_proposed, _proposed.c.id == answers.c.proposed_id)
    .where(answers.c.item_id.in_(_IDS), undoings.c.answer_id.is_(None))
    .order_by(answers.c.id)
)
_REPORTS = (
    select(reports)
    .add_columns(_comment.c.content.label("comment"))
    .outerjoin(_comment, _comment.c.id == reports.c.comment_id)
    .where(reports.c.item_id.in_(_IDS))
    .order_by(reports.c.id)
)


@dataclass(frozen=True, slots=True)
class DisputeVote:
    """What one person said; `person` is a letter where the task shows no names. `label` or `labels`, by `kind`.

    `seconds` is the time it took, None where it was not measured.
    """

    answer_id: str
    person: str
    role: str
    round: int
    kind: str
    label: str | None
    labels: list[str] | None
    comment: str | None
    proposed_label: str | None
    counted: str
    seconds: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class DisputeReport:
    """What an application reported: whether the prediction was `correct`, or what is."""

    correct: bool | None
    label: str | None
    labels: list[str] | None
    comment: str | None
    source: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Dispute:
    """An item as whoever decides it sees it: the model's `suggestions` too, where annotators do not.

    `round` says how often people were asked anew, `asked` how many answers were wanted in this round. `held`: somebody
    else looks at it now. `label` or `labels` is what it is resolved as, and `method` how, if it is.
    """

    item_id: str
    state: str
    text: str | None
    language: str | None
    reason: str
    round: int
    asked: int
    held: bool
    suggestions: list[dict[str, Any]]
    label: str | None
    labels: list[str] | None
    method: str | None
    votes: list[DisputeVote]
    reports: list[DisputeReport]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Disputes:
    """Some of a task's disputes in the order of the queue, of `waiting` (1,000: or more); `after` is where they end.

    `after` is None where there are no more.
    """

    disputes: list[Dispute]
    waiting: int
    after: Place | None


def list_disputes(store: Store, task: Task, caller: Caller, after: Place | None = None, limit: int = 20) -> Disputes:
    """Return up to `limit` disputes of `task` that follow `after`.

    Raises:
        UnavailableError: the store is away.
    """
    rank, item = after or _BEGINNING
    with store.read() as connection:
        wanted = {"of": task.name, "rank": rank, "item": item, "most": limit + 1}
        found = connection.execute(_WAITING, wanted).all()
        rows = found[:limit]
        now = store.now(connection)
        held = {row.item_id for row in rows if _is_held(row, caller, now)}
        shown = _described(connection, task, list(dict.fromkeys(row.item_id for row in rows)), held)
        waiting = count_disputes(connection, task.name)
    more = len(found) > limit
    return Disputes(shown, waiting, (rows[-1].rank, rows[-1].item_id) if more else None)


def count_disputes(connection: Connection, task: str) -> int:
    """Return how many disputes wait, 1,000 at most."""
    return connection.execute(select(func.count()).select_from(_COUNTED), {"of": task}).scalar_one()


def find_dispute(store: Store, task: Task, item_id: str) -> Dispute | None:
    """Return any item of `task`, open or resolved, as it is shown to whoever decides it; None: there is none.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        found = _described(connection, task, [item_id], set())
    return found[0] if found else None


def _is_held(row: Row[Any], caller: Caller, now: datetime) -> bool:
    return row.annotator not in {None, caller.person} and row.lease_expires_at > now


def _described(connection: Connection, task: Task, ids: Sequence[str], held: set[str]) -> list[Dispute]:
    """Return the items in the order of their `ids`; those that are not there any more are missing."""
    names = label_names(connection, task.name) | {label.id: label.name for label in task.labels}
    rows = {row.id: row for row in connection.execute(_ITEMS, {"ids": ids}) if row.task == task.name}
    votes, told = (_by_item(connection.execute(query, {"ids": ids}).all()) for query in (_VOTES, _REPORTS))
    return [
        Dispute(
            item_id=one,
            state=rows[one].state,
            text=rows[one].content,
            language=rows[one].language,
            reason=rows[one].reason,
            round=rows[one].round,
            asked=rows[one].wanted,
            held=one in held,
            suggestions=[{"label": label, "score": score} for label, score in rows[one].suggestions],
            **in_words(rows[one].value, names),
            method=rows[one].method,
            votes=_votes(votes.get(one, []), names, show_names=task.review.show_names),
            reports=[_report(row, names) for row in told.get(one, [])],
            created_at=rows[one].created_at,
        )
        for one in ids
        if one in rows
    ]


def _by_item(rows: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.item_id, []).append(row)
    return found


def _votes(rows: Sequence[Row[Any]], names: Mapping[int, str], *, show_names: bool) -> list[DisputeVote]:
    people = list(dict.fromkeys(row.annotator for row in rows))
    shown = {person: person if show_names else letters(number) for number, person in enumerate(people)}
    return [
        DisputeVote(
            answer_id=row.id,
            person=shown[row.annotator],
            role=row.role,
            round=row.round,
            kind=row.kind,
            **in_words(row.value, names),
            comment=row.comment,
            proposed_label=row.proposed,
            counted=row.counted,
            seconds=row.seconds,
            at=row.created_at,
        )
        for row in rows
    ]


def letters(number: int) -> str:
    """Return A for 0, B for 1, and after Z: AA, AB."""
    whole, last = divmod(number, 26)
    return (letters(whole - 1) if whole else "") + chr(ord("A") + last)


def _report(row: Row[Any], names: Mapping[int, str]) -> DisputeReport:
    words = in_words(row.value, names)
    return DisputeReport(row.correct, words["label"], words["labels"], row.comment, row.source, row.created_at)
