"""Handing items to people: one slot to one person, for a limited time, in the order of the queue."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from core.demo import DEMO_LANGUAGE, DEMO_PEOPLE
from core.roles import Caller
from feedback.alike_items import Alike, contents_of, find_alike
from feedback.checks import draw_checks, make_slots
from feedback.clashes import write_again
from feedback.free_slots import Wanted, free_slots
from feedback.leases import CHECK_STAGE, free_expired, heartbeat, hold_many, new_token, release
from feedback.schema import items, texts
from feedback.store import Store
from feedback.tallies import add_tallies
from tasks.declaration import Task

__all__ = ["Claimed", "claim", "heartbeat", "release"]

_CHANCE = secrets.SystemRandom()
_DRAWN = 50
"""Check items that are drawn at most to find some that are alike."""
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
    """What is asked for; `alike` holds the items to choose from, or is None where any will do."""

    wanted: Wanted
    count: int
    alike: Alike | None


def claim(
    store: Store,
    task: Task,
    caller: Caller,
    count: int,
    *,
    label: str | None = None,
    language: str | None = None,
    like: str | None = None,
) -> list[Claimed]:
    """Lease up to `count` items to the caller and return them, in the order of the queue.

    None of them was answered, skipped or flagged by the caller in its present round, or is held by them. `label` and
    `language` choose among ordinary items: those whose first suggestion it is, those in this language. Check items
    are mixed in at `review.check_rate`, never where there is nothing else. The people of the demo are given demo items.

    With `like`, an item's id, only items alike to that one are leased, the most alike first, and check items only if
    they are alike too: any other would stand out. It is one that the caller was given, or a reviewer sees.

    Raises:
        NotFoundError: there is no such item to be `like`.
        UnavailableError: the store is away.
    """
    wanted = Wanted(task, caller, label, DEMO_LANGUAGE if caller.person in DEMO_PEOPLE else language)
    alike = None if like is None else find_alike(store, wanted, like, count)
    if alike is not None:
        wanted = replace(wanted, among=list(alike.likeness))
    claiming = _Claiming(wanted, count, alike)
    claimed, passed_over = write_again(store, partial(_claim, store, claiming=claiming, alone=False))
    if passed_over:
        claimed, _ = write_again(store, partial(_claim, store, claiming=claiming, alone=True))
    return claimed


def _claim(store: Store, connection: Connection, *, claiming: _Claiming, alone: bool) -> tuple[list[Claimed], bool]:
    """Lease what there is; return it, and whether there is nothing but what other claims were looking at.

    Claims of a task go on side by side and pass over each other's slots (on PostgreSQL; SQLite has one writer at a
    time). One that is `alone` waits for all others, so that nobody comes back empty while something is left.
    """
    task, caller = claiming.wanted.task, claiming.wanted.caller
    store.lock(connection, f"claim {task.name}", shared=not alone)
    now = store.now(connection)
    expired = free_expired(connection, task.name, now)
    chosen = _choose(connection, claiming)
    until = now + timedelta(seconds=task.review.lease_seconds)
    claimed = _lease(connection, task, caller, chosen, now, until)
    passed_over = not (chosen or alone or store.is_sqlite) and _is_any_free(connection, claiming)
    add_tallies(store, connection, {(task.name, "leases.expired"): expired})
    return claimed, passed_over


def _is_any_free(connection: Connection, claiming: _Claiming) -> bool:
    return bool(free_slots(connection, claiming.wanted, 1, locked=False))


def _choose(connection: Connection, claiming: _Claiming) -> list[Row[Any]]:
    """Return slots and check items in the order to show them; a check item has no slot yet (`slot_id` None)."""
    wanted, count = claiming.wanted, claiming.count
    if claiming.alike is not None:
        return _choose_alike(connection, claiming, claiming.alike)
    found = free_slots(connection, wanted, count)
    lucky = _lucky(claiming, len(found))
    checks = draw_checks(connection, wanted.task, wanted.caller, lucky, wanted.label, wanted.language)
    chosen = found[: count - len(checks)]
    for check in checks:
        chosen.insert(_CHANCE.randint(0, len(chosen)), check)
    return chosen


def _choose_alike(connection: Connection, claiming: _Claiming, alike: Alike) -> list[Row[Any]]:
    """Return the most alike slots, and in the places that are theirs by likeness, check items."""
    wanted, likeness = claiming.wanted, dict(alike.likeness)
    found = free_slots(connection, wanted, len(likeness))
    found = sorted(found, key=lambda row: -likeness[row.item_id])[: claiming.count]
    lucky = _lucky(claiming, len(found))
    drawn = draw_checks(connection, wanted.task, wanted.caller, lucky and _DRAWN, wanted.label, wanted.language)
    near = alike.measure(contents_of(connection, [row.item_id for row in drawn]))
    checks = [row for row in drawn if row.item_id in near][:lucky]
    likeness |= near
    return sorted([*found[: claiming.count - len(checks)], *checks], key=lambda row: -likeness[row.item_id])


def _lucky(claiming: _Claiming, found: int) -> int:
    """Draw how many of the items are to be check items; never more than there are others."""
    rate = claiming.wanted.task.review.check_rate
    return min(sum(_CHANCE.random() < rate for _ in range(claiming.count)), found)


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
