"""API keys: random, stored hashed, shown once."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Row, func, select, update

from core.errors import Fault, InvalidError, NotFoundError
from core.ids import is_id, new_id
from core.roles import ALL_ROLES, Caller, Role
from feedback.audit import note
from feedback.schema import keys
from feedback.store import Store

MAX_PERSON = 200
"""Characters in a person's name at most."""

MAX_NOTE = 200
"""Characters in a key's note at most."""

_LONGEST = timedelta(days=36_525)

_MARK = "rg_"
"""What every key begins with, so that a leaked one is recognised."""

_SHOWN = 8
"""Characters of a key that are kept to recognise it by; the other 38 stay secret."""


@dataclass(frozen=True)
class Key:
    """A key as it is kept: everything but its secret. `tasks` are the granted ones; None is all."""

    id: str
    person: str
    role: Role
    tasks: tuple[str, ...] | None
    note: str
    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @cached_property
    def caller(self) -> Caller:
        """Who calls with this key."""
        return Caller(self.person, self.role, self.id, None if self.tasks is None else frozenset(self.tasks))

    def is_good(self, now: datetime) -> bool:
        """Tell whether the key lets somebody in: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class KeyFingerprint:
    """What changes whenever a key is made or revoked; `made` is how many there ever were."""

    made: int
    revoked: int
    last_revoked_at: datetime | None


def new_secret() -> str:
    """Return a new key: 256 random bits, of which a plain SHA-256 tells nothing (slow hashes are for passwords)."""
    return _MARK + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def person_fault(person: str) -> str | None:
    """Return what is wrong with a person's name, or None."""
    if 0 < len(person) <= MAX_PERSON and person.isprintable() and person.strip() == person:
        return None
    return f"expected 1 to {MAX_PERSON} printable characters without spaces around them"


def create_key(
    store: Store,
    caller: Caller,
    *,
    person: str,
    role: str,
    tasks: Collection[str] | None = None,
    expires_at: datetime | None = None,
    note_text: str = "",
) -> tuple[Key, str]:
    """Make a key for `person`; return it with its secret, which is kept nowhere.

    `tasks` are the granted ones, which the caller has checked; None grants all. `expires_at` has a time zone.

    Raises:
        InvalidError: a value is not allowed; names every fault.
    """
    secret, person = new_secret(), unicodedata.normalize("NFC", person)
    with store.write() as connection:
        now = store.now(connection)
        _check(person, role, tasks, expires_at, note_text, now)
        key = Key(
            id=new_id(),
            person=person,
            role=cast("Role", role),
            tasks=None if tasks is None else tuple(sorted(set(tasks))),
            note=note_text,
            prefix=secret[:_SHOWN],
            created_at=now,
            created_by=caller.person,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
        )
        connection.execute(keys.insert().values(asdict(key) | {"sha256": hash_secret(secret)}))
        granted = None if key.tasks is None else ",".join(key.tasks)
        expiry = expires_at.isoformat() if expires_at else None
        note(connection, caller, "keys.create", key.id, person=person, role=role, tasks=granted, expires_at=expiry)
    return key, secret


def _check(
    person: str, role: str, tasks: Collection[str] | None, expires_at: datetime | None, note_text: str, now: datetime
) -> None:
    faults = []
    if (fault := person_fault(person)) is not None:
        faults.append(Fault(("person",), f"got {person[:60]!r}; {fault}"))
    if role not in ALL_ROLES:
        faults.append(Fault(("role",), f"got {role!r}; expected one of: {', '.join(sorted(ALL_ROLES))}"))
    if tasks is not None and not tasks:
        faults.append(Fault(("tasks",), "got no task; leave it out to grant all"))
    if expires_at is not None and not now < expires_at < now + _LONGEST:
        faults.append(Fault(("expires_at",), f"got {expires_at.isoformat()}; expected a moment in the next 100 years"))
    if len(note_text) > MAX_NOTE or not (note_text.isprintable()):
        faults.append(Fault(("note",), f"expected up to {MAX_NOTE} printable characters"))
    if faults:
        raise InvalidError(faults)


def list_keys(store: Store) -> list[Key]:
    """Return every key ever made, oldest first."""
    with store.read() as connection:
        return [key_of(row) for row in connection.execute(select(keys).order_by(keys.c.id))]


def find_key(store: Store, sha256: str) -> Key | None:
    """Return the key whose secret has this hash, be it good or not; None where there is none."""
    with store.read() as connection:
        row = connection.execute(select(keys).where(keys.c.sha256 == sha256)).first()
    return key_of(row) if row else None


def good_keys(store: Store) -> dict[str, Key]:
    """Return the keys that were not revoked, by the SHA-256 of their secrets; some may have expired."""
    with store.read() as connection:
        rows = connection.execute(select(keys).where(keys.c.revoked_at.is_(None)))
        return {row.sha256: key_of(row) for row in rows}


def fingerprint_keys(store: Store) -> KeyFingerprint:
    """Return what tells whether keys were made or revoked since the last look."""
    counts = select(func.count(), func.count(keys.c.revoked_at), func.max(keys.c.revoked_at)).select_from(keys)
    with store.read() as connection:
        made, revoked, last = connection.execute(counts).one()
    return KeyFingerprint(made, revoked, last)


def any_keys(store: Store) -> bool:
    """Tell whether a key was ever made: a revoked one counts, so that revoking the last lets nobody in."""
    with store.read() as connection:
        return connection.execute(select(keys.c.id).limit(1)).first() is not None


def revoke_key(store: Store, caller: Caller, key_id: str) -> Key:
    """Let nobody in with this key any more; return it. One that was revoked before stays as it was.

    Raises:
        NotFoundError: there is no such key.
    """
    unknown = f"no key {key_id[:60]!r}; `regrade keys list` shows those there are"
    if not is_id(key_id):
        raise NotFoundError(unknown)
    with store.write() as connection:
        row = connection.execute(select(keys).where(keys.c.id == key_id).with_for_update()).first()
        if row is None:
            raise NotFoundError(unknown)
        if row.revoked_at is None:
            now = store.now(connection)
            connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=now))
            note(connection, caller, "keys.revoke", key_id, person=row.person, role=row.role)
            row = connection.execute(select(keys).where(keys.c.id == key_id)).one()
    return key_of(row)


def touch_keys(store: Store, used: Mapping[str, datetime]) -> None:
    """Remember when keys, by id, were used last; a later use that is remembered already stays."""
    if not used:
        return
    with store.write() as connection:
        for key_id in sorted(used):  # in one order everywhere, against deadlocks
            later = keys.c.last_used_at.is_(None) | (keys.c.last_used_at < used[key_id])
            connection.execute(update(keys).where(keys.c.id == key_id, later).values(last_used_at=used[key_id]))


def key_of(row: Row[Any]) -> Key:
    """Return the key that a row of `keys` tells of."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    del values["sha256"]
    values["tasks"] = None if values["tasks"] is None else tuple(values["tasks"])
    return Key(**values)
