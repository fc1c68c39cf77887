"""What one annotator has done of a task lately, for their own eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select

from core.ids import first_id
from core.roles import Caller
from feedback.items import loaded
from feedback.mappings import Mapped, mapped, read_maps
from feedback.schema import answers, items, undoings
from feedback.schema.base import UtcTime
from feedback.store import Store
from tasks.declaration import Task

LOOKED_BACK = timedelta(days=30)
"""How far back answers are counted at most, and check items always."""

_MOST = 5_000
"""Answers that are looked at, the latest ones."""

_STEP = 5
"""Check items are told of in so many at a time: nobody can tell from the figures which item was one."""

_STILL_S = 300
"""Seconds for which figures of check items stand still: who looks after every answer would know each fifth one."""

_LATELY = (
    select(answers.c.kind, answers.c.seconds)
    .outerjoin(undoings, undoings.c.answer_id == answers.c.id)
    .where(answers.c.task == bindparam("of"), answers.c.annotator == bindparam("who"))
    .where(answers.c.id >= bindparam("since"), undoings.c.answer_id.is_(None))
    .order_by(answers.c.id.desc())
    .limit(_MOST)
)
_OWN = (
    select(answers)
    .where(answers.c.task == bindparam("of"), answers.c.annotator == bindparam("who"))
    .where(answers.c.id >= bindparam("since"))
    .order_by(answers.c.id.desc())
    .limit(_MOST)
    .subquery()
)
_CHECKS = (
    select(_OWN.c.item_id, _OWN.c.value)
    .add_columns(_OWN.c.revision)
    .outerjoin(undoings, undoings.c.answer_id == _OWN.c.id)
    .where(_OWN.c.counted == "check", _OWN.c.value.is_not(None), _OWN.c.id < bindparam("until"))
    .where(or_(undoings.c.answer_id.is_(None), undoings.c.created_at >= bindparam("undone", type_=UtcTime)))
    .order_by(_OWN.c.id)
)
_KNOWN = (
    select(items.c.id, items.c.check_value)
    .add_columns(items.c.revision)
    .where(items.c.id.in_(bindparam("ids", expanding=True)), items.c.check_value.is_not(None))
)


@dataclass(frozen=True, slots=True)
class OwnAnswers:
    """What one person said since a moment, without what they took back.

    `median_seconds` is the time an answer took, None without any. Of `checks` check items of the last 30 days,
    told of five at a time and five minutes late at most, `right` were answered rightly, a share of `agreement`; all
    three are None where the task does not show them, and `agreement` also without any.
    """

    since: datetime
    answers: int
    skips: int
    flags: int
    median_seconds: float | None
    checks: int | None
    right: int | None
    agreement: float | None


def own_answers(store: Store, task: Task, caller: Caller, since: datetime | None) -> OwnAnswers:
    """Return what the caller did since a moment, today (in UTC) where it is None; the last 5,000 answers at most.

    Raises:
        UnavailableError: the store is away.
    """
    with store.read() as connection:
        now = store.now(connection)
        begun = now.replace(hour=0, minute=0, second=0, microsecond=0) if since is None else since
        begun = max(begun, now - LOOKED_BACK)
        wanted = {"of": task.name, "who": caller.person}
        rows = connection.execute(_LATELY, wanted | {"since": first_id(begun)}).all()
        checks = None
        if task.review.show_checks:
            until = datetime.fromtimestamp(now.timestamp() // _STILL_S * _STILL_S, UTC)
            told = {"since": first_id(now - LOOKED_BACK), "until": first_id(until), "undone": until}
            checks = _marks(connection, task, connection.execute(_CHECKS, wanted | told).all())
    said = [row for row in rows if row.kind not in {"skip", "flag"}]
    seconds = [row.seconds for row in said if row.seconds is not None]
    skips, flags = (sum(row.kind == kind for row in rows) for kind in ("skip", "flag"))
    pace = round(median(seconds), 3) if seconds else None
    if checks is None:
        return OwnAnswers(begun, len(said), skips, flags, pace, None, None, None)
    right = sum(checks)
    share = right / len(checks) if checks else None
    return OwnAnswers(begun, len(said), skips, flags, pace, len(checks), right, share)


def _marks(connection: Connection, task: Task, given: Sequence[Row[Any]]) -> list[bool]:
    """Return whether each check item was answered rightly, the first ones, in whole steps; `given` are oldest first."""
    given = given[: len(given) // _STEP * _STEP]
    if not given:
        return []
    known = {row.id: row for row in connection.execute(_KNOWN, {"ids": sorted({row.item_id for row in given})})}
    maps = read_maps(connection, task)
    return [_is_right(row, known[row.item_id], maps) for row in given if row.item_id in known]


def _is_right(given: Row[Any], known: Row[Any], maps: Mapping[int, Mapped]) -> bool:
    said = mapped(loaded(given.value), maps.get(given.revision))
    return said is not None and said == mapped(loaded(known.check_value), maps.get(known.revision))
