"""Who is calling: the holder of a key, somebody who signed in with one, or in open mode whoever is at this machine.

Keys are looked up in memory, where they are at most a second old: a request never waits for the store, but for one with
a key that is not known yet. While the store is away, the keys that were known go on for an hour.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import unicodedata
from datetime import UTC, datetime
from functools import partial

from core.errors import (
    Fault,
    ForbiddenError,
    InvalidError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
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
from feedback.sessions import Session, csrf_of
from feedback.store import Store
from service.admin_key import AdminKey
from service.cookies import read_cookie, session_cookie
from service.exchange import Incoming
from service.sessions import Sessions
from service.throttle import Throttle
from service.watching import watch

logger = logging.getLogger("regrade.access")

POLL_S = 1.0
"""Seconds between looks at the keys; one that was revoked is refused within 2 s."""

OUTLIVES_STORE_S = 3600.0
"""Seconds for which known keys stay good while the store is away, where a revocation could not be seen."""

WRONG_KEYS_A_MINUTE = 20
"""Wrong keys from one address after which this worker answers it 429 for the rest of the minute."""

_CSRF = b"x-regrade-csrf"
_SAFE = frozenset({"GET", "HEAD"})

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
        self._keys: dict[str, Key] = {}
        self._fingerprint: KeyFingerprint | None = None
        self._seen_at = time.monotonic()
        self.sessions = Sessions(store)
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
        self.sessions.refresh()
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
        await watch(partial(asyncio.to_thread, self.refresh), POLL_S, logger, "the keys cannot be read")

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
        if given is not None:
            return await self.holder(_bearer(given), incoming)
        caller = await self.signed_in(incoming) if b"cookie" in incoming.headers else None
        if caller is not None:
            _check_csrf(incoming)
            return caller
        if self.is_open:
            return _in_open_mode(incoming)
        raise UnauthenticatedError(_NEEDS_KEY)

    async def holder(self, secret: str, incoming: Incoming) -> Caller:
        """Return who holds the key `secret`; raises as `find` does."""
        digest = hash_secret(secret)
        key = self._keys.get(digest)
        if key is not None and self._is_fresh:
            return self._let_in(key, incoming)
        if self._admin.is_given(digest):
            return self._admin.caller
        return self._let_in(await self._try_key(digest, incoming), incoming)

    @property
    def _is_fresh(self) -> bool:
        """Whether what is known of keys and sessions is recent enough to go by."""
        return time.monotonic() - self._seen_at < OUTLIVES_STORE_S

    async def signed_in(self, incoming: Incoming) -> Caller | None:
        """Return who signed in with the session of the request's cookie, or None where none counts (any more).

        Cookies are not throttled as keys are: they cannot be guessed either, browsers go on sending dead ones, and all
        who come through one proxy have one address.

        Raises:
            UnavailableError: the session is not known here, and the store is away.
        """
        secret = read_cookie(incoming.headers, session_cookie(incoming.headers))
        session = await self._session(secret) if secret else None
        if not secret or session is None:
            return None
        is_admin = self._admin.is_given(session.key_sha256)
        key = None if is_admin else await self._behind(session)
        if not is_admin and key is None:
            return None
        incoming.session, incoming.csrf = session, csrf_of(secret)
        return self._admin.caller if key is None else self._let_in(key, incoming)

    async def _session(self, secret: str) -> Session | None:
        """Return the good session with this secret, from memory where it is known and recent."""
        session = self.sessions.known(secret)
        if session is None or not self._is_fresh:
            session = await asyncio.to_thread(self.sessions.look_up, secret)
            if session is not None and session.is_good(datetime.now(UTC)):
                self.sessions.add(session)
        return session if session is not None and session.is_good(datetime.now(UTC)) else None

    async def _behind(self, session: Session) -> Key | None:
        """Return the key behind a session, or None where it lets nobody in any more."""
        key = self._keys.get(session.key_sha256) if self._is_fresh else None
        if key is None:  # revoked, or so new that only the worker which began the session knows it
            key = await self._look_up(session.key_sha256)
        return key if key is not None and key.is_good(datetime.now(UTC)) else None

    def _let_in(self, key: Key, incoming: Incoming) -> Caller:
        now = datetime.now(UTC)
        if not key.is_good(now):
            incoming.caller = key.caller
            raise UnauthenticatedError(_NEEDS_KEY)
        self._used[key.id] = now
        return key.caller

    async def _try_key(self, sha256: str, incoming: Incoming) -> Key:
        """Return a key that is not known here, be it good or not; one that is not counts as a try of this address."""
        address = _address(incoming)
        if self._wrong.is_full(address):
            raise OverloadedError("too many wrong keys came from this address", self._wrong.left_s)
        key = await self._look_up(sha256)
        if key is None or not key.is_good(datetime.now(UTC)):
            self._wrong.take(address)
        if key is None:
            raise UnauthenticatedError(_NEEDS_KEY)
        return key

    async def _look_up(self, sha256: str) -> Key | None:
        """Ask the store for a key that is not known here: it was just made, or is wrong. A good one is known then.

        Raises:
            UnavailableError: the store is away.
        """
        known = self._keys  # the next look replaces them: what is revoked meanwhile is not kept
        try:
            key = await asyncio.to_thread(find_key, self._store, sha256)
        except UnavailableError as error:
            raise UnavailableError(
                "the store is away, so that this key cannot be looked up; try again later"
            ) from error
        if key is not None and key.is_good(datetime.now(UTC)):
            known[sha256] = key
        return key


def _check_csrf(incoming: Incoming) -> None:
    """Refuse what would change something and does not repeat what only our pages know.

    Raises:
        ForbiddenError: it does not.
    """
    given = incoming.headers.get(_CSRF, b"")
    if incoming.scope["method"] not in _SAFE and not hmac.compare_digest(given, incoming.csrf.encode()):
        raise ForbiddenError("X-Regrade-CSRF is missing or wrong; load the page again, and try once more")


def _address(incoming: Incoming) -> str:
    client = incoming.scope.get("client")
    return client[0] if client else ""


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
