"""The audit log: who changed what, and when. It only grows, and is hash-chained in sealed batches.

A seal covers the entries that had none: SHA-256 over the hash of the seal before, and each entry in order. Whoever
keeps the head (the last seal's number and hash) elsewhere can tell later whether anything up to it was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from core.errors import MalformedError
from core.roles import Caller
from feedback.schema import audit, seals
from feedback.store import Store

BEGINNING = "0" * 64
"""What the first seal has before it."""

_SEALED_AT_ONCE = 10_000
"""Entries in one seal at most."""

_ENTRY = audit.insert()


@dataclass(frozen=True)
class Entry:
    """One change by a person, or one refusal of one; `details` holds ids and figures, never a text."""

    id: int
    created_at: datetime
    actor: str
    role: str
    action: str
    object: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """The end of the chain: the last seal's number (0: none yet) and hash. Its text is `NUMBER:HASH`."""

    seal: int
    sha256: str

    def __str__(self) -> str:
        """Return the form that is exported."""
        return f"{self.seal}:{self.sha256}"

    @classmethod
    def read(cls, text: str) -> Head:
        """Return the head in `text`.

        Raises:
            MalformedError: it is none.
        """
        number, _, digest = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise MalformedError(f"{text[:100]!r} is no head; expected NUMBER:HASH as `regrade audit head` prints it")
        return cls(int(number), digest)


def note(
    connection: Connection, caller: Caller, action: str, subject: str, **details: str | int | float | bool | None
) -> None:
    """Add an entry, in the transaction of the change it tells of.

    `action` is a verb such as `answer` or `keys.create`, `subject` the id of what was changed. Neither they nor
    `details` may hold a text.
    """
    entry = {"actor": caller.person, "role": caller.role, "action": action, "object": subject, "details": details}
    connection.execute(_ENTRY, entry | {"created_at": datetime.now(UTC)})


def note_refusal(store: Store, caller: Caller, method: str, template: str, status: int) -> None:
    """Add an entry that somebody known was refused at an endpoint, by its path template."""
    with store.write() as connection:
        note(connection, caller, "refused", template, method=method, status=status, key_id=caller.key_id)


def list_entries(store: Store, after: int = 0, limit: int = 100) -> list[Entry]:
    """Return up to `limit` entries whose ids follow `after`, in order."""
    wanted = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    with store.read() as connection:
        return [entry_of(row) for row in connection.execute(wanted)]


def seal(store: Store) -> int:
    """Seal every entry that has no seal; return how many there were."""
    sealed = total = _seal_some(store)
    while sealed == _SEALED_AT_ONCE:
        sealed = _seal_some(store)
        total += sealed
    return total


def _seal_some(store: Store) -> int:
    with store.write() as connection:
        store.lock(connection, "audit seals")
        unsealed = select(audit).where(audit.c.seal_id.is_(None)).order_by(audit.c.id).limit(_SEALED_AT_ONCE)
        entries = [entry_of(row) for row in connection.execute(unsealed)]
        if not entries:
            return 0
        last = last_seal(connection)
        row = {"id": last.seal + 1, "entries": len(entries), "previous": last.sha256, "created_at": datetime.now(UTC)}
        connection.execute(seals.insert().values(row | {"sha256": chain(last.sha256, entries)}))
        # An entry of a transaction that began earlier may be committed later, with a smaller id: it waits for the next.
        sealing = update(audit).where(audit.c.id == bindparam("entry_id")).values(seal_id=last.seal + 1)
        connection.execute(sealing, [{"entry_id": entry.id} for entry in entries])
    return len(entries)


def chain(previous: str, entries: Iterable[Entry]) -> str:
    """Return the hash of a seal: SHA-256 over the hash of the one before and the entries in order, a line each."""
    digest = hashlib.sha256(f"{previous}\n".encode())
    for entry in entries:
        digest.update(canonical(entry))
    return digest.hexdigest()


def canonical(entry: Entry) -> bytes:
    """Return an entry as one line of JSON that is the same wherever it is computed: keys sorted, time in UTC."""
    moment = entry.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    line = json.dumps(asdict(entry) | {"created_at": moment}, sort_keys=True, separators=(",", ":"))
    return f"{line}\n".encode()


def head(store: Store) -> Head:
    """Return the end of the chain, to be kept where nobody who can change the database can change it."""
    with store.read() as connection:
        return last_seal(connection)


def verify(store: Store, expected: Head | None = None) -> list[str]:
    """Return what is wrong with the sealed part of the log; nothing: the chain is whole.

    Entries changed, removed or added, and seals changed or removed are found. A log whose end was cut off, or that was
    made anew from some point on, is a whole chain: it is found by a head that was `expected`, exported before.
    """
    faults: list[str] = []
    with store.read() as connection:
        before = Head(0, BEGINNING)
        met = expected is None or expected == before
        for row in connection.execute(select(seals).order_by(seals.c.id)).all():
            faults += _faults_of(connection, row, before)
            before = Head(row.id, row.sha256)
            met = met or before == expected
        faults += _strays(connection)
    if not met:
        faults.append(
            f"the head {expected} is not in the chain, which ends with seal {before.seal}: the log was cut off or made "
            "anew after that head was exported"
        )
    return faults


def _faults_of(connection: Connection, row: Any, before: Head) -> Iterator[str]:
    if row.id != before.seal + 1:
        yield f"seal {before.seal + 1} is missing: seal {row.id} follows seal {before.seal}"
    elif row.previous != before.sha256:
        yield f"seal {row.id} does not follow seal {before.seal}: one of them was changed"
    found = connection.execute(select(audit).where(audit.c.seal_id == row.id).order_by(audit.c.id))
    entries = [entry_of(entry) for entry in found]
    if len(entries) != row.entries:
        yield f"seal {row.id} covers {row.entries} entries, but {len(entries)} are there: some were removed or added"
    elif chain(row.previous, entries) != row.sha256:
        place = f" {entries[0].id} to {entries[-1].id}" if entries else ""
        yield f"seal {row.id} does not fit its entries{place}: one was changed"


def _strays(connection: Connection) -> Iterator[str]:
    known = select(seals.c.id)
    strays = select(func.count()).select_from(audit).where(audit.c.seal_id.is_not(None), audit.c.seal_id.not_in(known))
    count = connection.execute(strays).scalar_one()
    if count:
        yield f"{count} entries belong to seals that are not there: those were removed"


def last_seal(connection: Connection) -> Head:
    """Return the end of the chain as `connection` sees it."""
    row = connection.execute(select(seals.c.id, seals.c.sha256).order_by(seals.c.id.desc()).limit(1)).first()
    return Head(row.id, row.sha256) if row else Head(0, BEGINNING)


def entry_of(row: Any) -> Entry:
    """Return the entry that a row of `audit` tells of."""
    return Entry(row.id, row.created_at, row.actor, row.role, row.action, row.object, row.details)
