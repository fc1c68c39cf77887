"""Who is calling: the holder of a key, or in open mode whoever is at this machine.

Keys are looked up in memory, where they are at most a second old: a request never waits for the store, but for one with
a key that is not known yet. While the store is away, the keys that were known go on for an hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from core.errors import Fault, InvalidError, OverloadedError, RegradeError, UnauthenticatedError, UnavailableError
from core.roles import Caller
from feedback.keys import (
    Key,
    KeyFingerprint,
    find_key,
    fingerprint_keys,
    good_keys,
    hash_secret,
    person_fault,
    touch_keys,
)
from feedback.store import Store
from service.admin_key import AdminKey
from service.exchange import Incoming
from service.throttle import Throttle

logger = logging.getLogger("regrade.access")

POLL_S = 1.0
"""Seconds between looks at the keys; one that was revoked is refused within 2 s."""

OUTLIVES_STORE_S = 3600.0
"""Seconds for which known keys stay good while the store is away, where a revocation could not be seen."""

WRONG_KEYS_A_MINUTE = 20
"""Wrong keys from one address after which this worker answers it 429 for the rest of the minute."""

_TOUCH_S = 60.0
"""Seconds between writes of when keys were used last."""

_WHO = b"x-regrade-annotator"
_LOCAL = Caller("local", "admin")
_NEEDS_KEY = "a good key is needed, sent as `Authorization: Bearer KEY`; an admin makes keys with `regrade keys create`"
"""Said whatever is wrong with a key, so that guessing teaches nothing."""


class Callers:
    """Finds who sent a request, by what is known of the keys in `store`."""

    def __init__(self, store: Store, admin: AdminKey) -> None:
        """Know no key yet; `refresh` looks."""
        self._store = store
        self._admin = admin
        self._keys: Mapping[str, Key] = {}
        self._fingerprint: KeyFingerprint | None = None
        self._seen_at = time.monotonic()
        self._wrong = Throttle(WRONG_KEYS_A_MINUTE)
        self._used: dict[str, datetime] = {}
        self._touched_at = time.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether no key was ever made, so that this machine may come in without one."""
        return self._fingerprint is not None and self._fingerprint.made == 0

    def refresh(self) -> None:
        """Look at the keys, and write down when they were used; called outside the event loop.

        Raises:
            UnavailableError: the store is away.
        """
        fingerprint = fingerprint_keys(self._store)
        if fingerprint != self._fingerprint:
            self._keys = good_keys(self._store)
            self._fingerprint = fingerprint
        self._seen_at = time.monotonic()
        if self._seen_at - self._touched_at >= _TOUCH_S:
            self.write_uses()

    def write_uses(self) -> None:
        """Write down when keys were used last; called outside the event loop.

        Raises:
            UnavailableError: the store is away.
        """
        used, self._used = self._used, {}
        self._touched_at = time.monotonic()
        touch_keys(self._store, used)

    async def watch(self) -> None:
        """Keep in step until cancelled, whatever goes wrong on the way."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await asyncio.to_thread(self.refresh)
            except RegradeError as error:
                logger.warning("the keys cannot be read: %s", error)
            except Exception:
                logger.exception("the keys cannot be followed; trying again")

    async def find(self, incoming: Incoming) -> Caller:
        """Return who sent a request.

        The holder of a key that is not good any more is left in `incoming.caller`, so that the refusal can be noted.

        Raises:
            UnauthenticatedError: no key came, or none that is good.
            InvalidError: open mode, and `X-Regrade-Annotator` is no name.
            OverloadedError: too many wrong keys came from this address.
            UnavailableError: the key is not known here, and the store is away.
        """
        given = incoming.headers.get(b"authorization")
        if given is None:
            if self.is_open:
                return _in_open_mode(incoming)
            raise UnauthenticatedError(_NEEDS_KEY)
        secret = _bearer(given)
        digest = hash_secret(secret)
        key = self._keys.get(digest)
        if key is not None and time.monotonic() - self._seen_at < OUTLIVES_STORE_S:
            return self._let_in(key, incoming)
        if self._admin.is_given(digest):
            return self._admin.caller
        return await self._look_up(secret, incoming)

    def _let_in(self, key: Key, incoming: Incoming) -> Caller:
        now = datetime.now(UTC)
        if not key.is_good(now):
            incoming.caller = key.caller
            raise UnauthenticatedError(_NEEDS_KEY)
        self._used[key.id] = now
        return key.caller

    async def _look_up(self, secret: str, incoming: Incoming) -> Caller:
        """Ask the store for a key that is not known here: it was just made, or is wrong."""
        client = incoming.scope.get("client")
        address = client[0] if client else ""
        if self._wrong.is_full(address):
            raise OverloadedError("too many wrong keys came from this address", self._wrong.left_s)
        try:
            key = await asyncio.to_thread(find_key, self._store, secret)
        except UnavailableError as error:
            raise UnavailableError(
                "the store is away, so that this key cannot be looked up; try again later"
            ) from error
        if key is None or not key.is_good(datetime.now(UTC)):
            self._wrong.take(address)
        if key is None:
            raise UnauthenticatedError(_NEEDS_KEY)
        return self._let_in(key, incoming)


def _bearer(given: bytes) -> str:
    scheme, _, secret = given.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise UnauthenticatedError(_NEEDS_KEY)
    return secret.strip()


def _in_open_mode(incoming: Incoming) -> Caller:
    given = incoming.headers.get(_WHO)
    if given is None:
        return _LOCAL
    try:
        person = unicodedata.normalize("NFC", given.decode())
    except UnicodeDecodeError:
        person = ""
    if (fault := person_fault(person)) is not None:
        raise InvalidError([Fault(("X-Regrade-Annotator",), fault)])
    return Caller(person, "admin")
