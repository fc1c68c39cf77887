"""Leases: a slot held by one person for a limited time, by a token that only they were given."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, literal_column, select, update

from core.demo import DEMO_LANGUAGE
from core.errors import ConflictError, ForbiddenError, NotFoundError, UngrantedError
from core.roles import Caller
from feedback.audit import note
from feedback.clashes import write_again
from feedback.schema import encounters, items, leases, slots
from feedback.store import Store
from tasks.declaration import Task

CHECK_STAGE = "check"
"""Stage of the slots of check items: nobody else is asked when such a slot is given up."""

FREE: ColumnElement[str] = literal_column("'free'")
LEASED: ColumnElement[str] = literal_column("'leased'")
"""Written into the statement, because a partial index serves only a condition that is known when it is planned."""

NO_LEASE: dict[str, None] = {"lease_token": None, "lease_expires_at": None}
"""What a slot says that is not leased."""

NOBODY: dict[str, None] = {"annotator": None, **NO_LEASE}
"""What a slot says that is nobody's."""

_EXPIRED_AT_ONCE = 500
_GIVEN_UP = case((slots.c.stage == CHECK_STAGE, "closed"), else_="free")

_LEASE = select(leases).where(leases.c.token == bindparam("token"), leases.c.item_id == bindparam("item"))
_SLOT = select(slots).where(slots.c.id == bindparam("slot"))
_LOCK = select(items.c.id).where(items.c.id == bindparam("item")).with_for_update(key_share=True)
_EXPIRED = (
    select(slots.c.id, slots.c.lease_token, slots.c.language)
    .where(slots.c.task == bindparam("task"), slots.c.state == LEASED, slots.c.lease_expires_at < bindparam("now"))
    .limit(_EXPIRED_AT_ONCE)
    .with_for_update(skip_locked=True)
)
_EMPTY_SLOT = update(slots).where(slots.c.id == bindparam("slot")).values(state=_GIVEN_UP, **NOBODY)
_END = update(leases).where(leases.c.token == bindparam("lease")).values(ended=bindparam("how"))
_HOLD = (
    update(slots)
    .where(slots.c.id == bindparam("slot"))
    .values(
        state="leased",
        annotator=bindparam("person"),
        lease_token=bindparam("lease"),
        lease_expires_at=bindparam("until"),
        answer_id=None,
    )
)
_MET = select(encounters.c.item_id).where(
    encounters.c.item_id == bindparam("item"),
    encounters.c.round == bindparam("round"),
    encounters.c.annotator == bindparam("person"),
)
_HELD_ELSEWHERE = select(slots.c.id).where(
    slots.c.item_id == bindparam("item"), slots.c.round == bindparam("round"), slots.c.annotator == bindparam("person")
)


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def lock_item(store: Store, connection: Connection, item_id: str) -> None:
    """Let nobody else who asks for it change the item before this transaction ends; an unknown id locks nothing."""
    if not store.is_sqlite:
        connection.execute(_LOCK, {"item": item_id})


@contextmanager
def refusals_noted(store: Store, caller: Caller, action: str, item_id: str) -> Iterator[None]:
    """Put it into the audit log when what is done in this block is forbidden; nothing else of it is kept."""
    try:
        yield
    except ForbiddenError:
        with store.write() as connection:
            note(connection, caller, "lease.refused", item_id, what=action)
        raise


def find_lease(connection: Connection, tasks: Mapping[str, Task], caller: Caller, item_id: str, token: str) -> Row[Any]:
    """Return the caller's lease with this token; it may have ended.

    Raises:
        NotFoundError: there is no such lease, or its task is not served or not granted.
        ForbiddenError: it is somebody else's.
    """
    lease = connection.execute(_LEASE, {"token": token, "item": item_id}).first()
    if lease is None or lease.task not in tasks:
        raise NotFoundError("there is no such item with such a lease token; claim one")
    if not caller.may_see(lease.task):
        raise UngrantedError("there is no such item with such a lease token; claim one")
    if lease.annotator != caller.person:
        raise ForbiddenError("this lease is somebody else's; claim an item of your own")
    return lease


def heartbeat(store: Store, tasks: Mapping[str, Task], caller: Caller, item_id: str, token: str) -> datetime:
    """Hold the lease for another `review.lease_seconds` from now, and return until when.

    A lease that has expired is held again, unless somebody else was given its slot.

    Raises:
        NotFoundError: there is no such lease, or its task is not served or not granted.
        ForbiddenError: it is somebody else's.
        ConflictError: the lease has ended, or its slot was taken or closed.
    """

    def work(connection: Connection) -> datetime:
        lock_item(store, connection, item_id)
        lease = find_lease(connection, tasks, caller, item_id, token)
        slot = connection.execute(_SLOT, {"slot": lease.slot_id}).one()
        if not (slot.lease_token == token or (_may_return(lease) and _is_open_to(connection, lease, slot))):
            raise ConflictError("this lease is lost: it ended, or the item went to somebody else; claim another item")
        return hold(store, connection, tasks[lease.task], lease.slot_id, caller.person, token)

    with refusals_noted(store, caller, "heartbeat", item_id):
        return write_again(store, work)


def release(store: Store, tasks: Mapping[str, Task], caller: Caller, item_id: str, token: str) -> None:
    """Give the slot back unanswered; the item may come back to the same person later.

    Raises:
        NotFoundError: there is no such lease, or its task is not served or not granted.
        ForbiddenError: it is somebody else's.
        ConflictError: it was released or answered before.
    """

    def work(connection: Connection) -> None:
        lock_item(store, connection, item_id)
        lease = find_lease(connection, tasks, caller, item_id, token)
        if not _may_return(lease):
            raise ConflictError(f"this lease has ended: it was {lease.ended} before")
        slot = connection.execute(_SLOT, {"slot": lease.slot_id}).one()
        if slot.lease_token == token:
            connection.execute(_EMPTY_SLOT, {"slot": lease.slot_id})
        end_lease(connection, token, "released")

    with refusals_noted(store, caller, "release", item_id):
        write_again(store, work)


def hold(store: Store, connection: Connection, task: Task, slot_id: int, person: str, token: str) -> datetime:
    """Lease a slot to `person` from now on, and return until when; the lease's row is written by the caller."""
    until = store.now(connection) + timedelta(seconds=task.review.lease_seconds)
    connection.execute(_HOLD, {"slot": slot_id, "person": person, "lease": token, "until": until})
    end_lease(connection, token, None)
    return until


def hold_many(connection: Connection, new: Sequence[Mapping[str, Any]], until: datetime) -> None:
    """Lease slots that nobody holds; `new` are rows of the table of leases."""
    rows = [{"slot": one["slot_id"], "person": one["annotator"], "lease": one["token"], "until": until} for one in new]
    connection.execute(_HOLD, rows)
    connection.execute(leases.insert(), new)


def end_lease(connection: Connection, token: str, how: str | None) -> None:
    """Say how a lease ended; None takes that back."""
    connection.execute(_END, {"lease": token, "how": how})


def empty_slot(connection: Connection, slot_id: int) -> None:
    """Offer a slot to others, or close it if it is a check item's."""
    connection.execute(_EMPTY_SLOT, {"slot": slot_id})


def free_expired(connection: Connection, task: str, now: datetime) -> int:
    """Offer the slots of `task` whose leases expired before `now` to others, some hundred at once.

    Returns how many, demo items left out. The leases stay: who answers late is still heard.
    """
    expired = connection.execute(_EXPIRED, {"task": task, "now": now}).all()
    if expired:
        connection.execute(_EMPTY_SLOT, [{"slot": row.id} for row in expired])
        connection.execute(_END, [{"lease": row.lease_token, "how": "expired"} for row in expired])
    return sum(row.language != DEMO_LANGUAGE for row in expired)


def _may_return(lease: Row[Any]) -> bool:
    return lease.ended in {None, "expired"}


def _is_open_to(connection: Connection, lease: Row[Any], slot: Row[Any]) -> bool:
    """Tell whether the slot is free, and the person has neither answered the item nor another slot of it.

    Nobody else is given a check item's slot, so that it is free for its person although it is closed.
    """
    if slot.state != ("closed" if slot.stage == CHECK_STAGE else "free"):
        return False
    who = {"item": lease.item_id, "round": lease.round, "person": lease.annotator}
    return not any(connection.execute(query, who).first() for query in (_MET, _HELD_ELSEWHERE))
