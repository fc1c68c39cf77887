"""Handing items to people: one slot to one person, for a limited time, in the order of the queue."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, or_, select

from core.roles import Caller
from feedback.checks import draw_checks, make_slots
from feedback.clashes import write_again
from feedback.conditions import met_by_person, none_of
from feedback.leases import CHECK_STAGE, FREE, free_expired, heartbeat, hold_many, new_token, release
from feedback.schema import encounters, items, slots, texts
from feedback.store import Store
from feedback.tallies import add_tallies
from tasks.declaration import Task

__all__ = ["Claimed", "claim", "heartbeat", "release", "stages_of"]

_CHANCE = secrets.SystemRandom()
_SHOWN = (
    select(items.c.id, texts.c.content, items.c.language, items.c.suggestions, items.c.reason, items.c.hidden)
    .add_columns(items.c.state)
    .join_from(items, texts, texts.c.id == items.c.text_id)
    .where(items.c.id.in_(bindparam("ids", expanding=True)))
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that the caller holds until `lease_expires_at`, by `lease_token`.

    `suggestions` are `(label, probability)`, best first; none where people's own view is wanted. `reason` is None
    for those who may not know it.
    """

    item_id: str
    text: str
    language: str | None
    suggestions: tuple[tuple[str, float], ...]
    reason: str | None
    lease_token: str
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Claiming:
    """What is asked for; `label` and `language` are None where any will do."""

    task: Task
    caller: Caller
    count: int
    label: str | None
    language: str | None


def claim(
    store: Store, task: Task, caller: Caller, count: int, *, label: str | None = None, language: str | None = None
) -> list[Claimed]:
    """Lease up to `count` items to the caller and return them, in the order of the queue.

    None of them was answered, skipped or flagged by the caller in its present round, or is held by them. `label` and
    `language` choose among ordinary items: those whose first suggestion it is, those in this language. Check items
    are mixed in at `review.check_rate`, never where there is nothing else.

    Raises:
        UnavailableError: the store is away.
    """
    claiming = _Claiming(task, caller, count, label, language)
    claimed, passed_over = write_again(store, partial(_claim, store, claiming=claiming, alone=False))
    if passed_over:
        claimed, _ = write_again(store, partial(_claim, store, claiming=claiming, alone=True))
    return claimed


def _claim(store: Store, connection: Connection, *, claiming: _Claiming, alone: bool) -> tuple[list[Claimed], bool]:
    """Lease what there is; return it, and whether there is nothing but what other claims were looking at.

    Claims of a task go on side by side and pass over each other's slots (on PostgreSQL; SQLite has one writer at a
    time). One that is `alone` waits for all others, so that nobody comes back empty while something is left.
    """
    task = claiming.task
    store.lock(connection, f"claim {task.name}", shared=not alone)
    now = store.now(connection)
    expired = free_expired(connection, task.name, now)
    chosen = _choose(connection, claiming)
    until = now + timedelta(seconds=task.review.lease_seconds)
    claimed = _lease(connection, task, claiming.caller, chosen, now, until)
    passed_over = not (chosen or alone or store.is_sqlite) and bool(_free_slots(connection, claiming, locked=False))
    add_tallies(store, connection, {(task.name, "leases.expired"): expired})
    return claimed, passed_over


def stages_of(task: Task, caller: Caller) -> tuple[str, ...]:
    """Return the stages whose slots the caller may answer: everybody the crowd's, qualified people an expert's too.

    Qualified are reviewers and admins, whom `review.experts` lists, and under the strategy `expert`, where it lists
    nobody, everybody.
    """
    review = task.review
    anybody = review.strategy == "expert" and not review.experts
    qualified = anybody or caller.is_reviewer or caller.person in review.experts
    return ("crowd", "expert") if qualified else ("crowd",)


def _choose(connection: Connection, claiming: _Claiming) -> list[Row[Any]]:
    """Return slots and check items in the order to show them; a check item has no slot yet (`slot_id` None)."""
    task, count = claiming.task, claiming.count
    found = _free_slots(connection, claiming)
    lucky = min(sum(_CHANCE.random() < task.review.check_rate for _ in range(count)), len(found))
    checks = draw_checks(connection, task, claiming.caller, lucky, claiming.label, claiming.language)
    chosen = found[: count - len(checks)]
    for check in checks:
        chosen.insert(_CHANCE.randint(0, len(chosen)), check)
    return chosen


def _free_slots(connection: Connection, claiming: _Claiming, *, locked: bool = True) -> list[Row[Any]]:
    """Return free slots that the caller may have, one an item, in order; `locked`: those that nobody else looks at."""
    values = {"task": claiming.task.name, "person": claiming.caller.person, "most": claiming.count}
    values |= {"label": claiming.label, "language": claiming.language}
    query = _free_query(claiming.label is not None, claiming.language is not None, locked)
    found: list[Row[Any]] = []
    for stage in stages_of(claiming.task, claiming.caller):  # each by itself: both are read in the order of the index
        found += connection.execute(query, {**values, "stage": stage}).all()
    chosen: dict[str, Row[Any]] = {}
    for row in sorted(found, key=lambda row: row.rank):
        chosen.setdefault(row.item_id, row)
    return list(chosen.values())[: claiming.count]


@cache
def _free_query(by_label: bool, by_language: bool, locked: bool) -> Select[Any]:
    other = slots.alias("other")
    same_item = and_(other.c.item_id == slots.c.item_id, other.c.round == slots.c.round)
    held = other.c.annotator == bindparam("person")
    earlier = and_(other.c.state == FREE, other.c.number < slots.c.number, other.c.stage == slots.c.stage)
    query = (
        select(slots.c.id.label("slot_id"), slots.c.item_id, slots.c.round, slots.c.rank)
        .where(slots.c.task == bindparam("task"), slots.c.stage == bindparam("stage"), slots.c.state == FREE)
        .where(none_of(encounters, met_by_person(slots.c.item_id), encounters.c.round == slots.c.round))
        .where(none_of(other, same_item, or_(held, earlier)))
        .order_by(slots.c.rank)
        .limit(bindparam("most"))
    )
    if locked:
        query = query.with_for_update(skip_locked=True, of=slots)
    if by_label:
        query = query.where(slots.c.label == bindparam("label"))
    return query.where(slots.c.language == bindparam("language")) if by_language else query


def _lease(
    connection: Connection, task: Task, caller: Caller, chosen: Sequence[Row[Any]], now: datetime, until: datetime
) -> list[Claimed]:
    """Lease what was chosen, and return it as the caller may see it."""
    if not chosen:
        return []
    made = make_slots(connection, task, [row for row in chosen if row.slot_id is None])
    held = [
        {
            "token": new_token(),
            "slot_id": row.slot_id or made[row.item_id],
            "item_id": row.item_id,
            "round": row.round,
            "task": task.name,
            "annotator": caller.person,
            "granted_at": now,
        }
        for row in chosen
    ]
    hold_many(connection, held, until)
    shown = {row.id: row for row in connection.execute(_SHOWN, {"ids": [row.item_id for row in chosen]})}
    return [_claimed(shown[one["item_id"]], caller, one["token"], until) for one in held if one["item_id"] in shown]


def _claimed(row: Row[Any], caller: Caller, token: str, until: datetime) -> Claimed:
    shows = not (row.hidden or row.reason in {"audit", "check"} or row.state == CHECK_STAGE)
    return Claimed(
        item_id=row.id,
        text=row.content,
        language=row.language,
        suggestions=tuple((name, chance) for name, chance in row.suggestions) if shows else (),
        reason=row.reason if caller.is_reviewer else None,
        lease_token=token,
        lease_expires_at=until,
    )
