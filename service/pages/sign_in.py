"""Coming in and going out: a key is exchanged for a session, by a form that works without scripts."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from urllib.parse import parse_qs, parse_qsl, urlsplit

from core.errors import (
    Fault,
    ForbiddenError,
    InvalidError,
    MalformedError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from feedback.audit import note_refusal
from feedback.keys import hash_secret
from feedback.sessions import end_session, start_session
from service.access import is_loopback_host
from service.cookies import LANGUAGE, session_cookie, set_cookie
from service.exchange import NOBODY, Incoming, Reply
from service.pages.site import Site, redirect
from service.pages.words import LANGUAGES
from service.routing import Endpoint, Route
from service.throttle import Throttle
from service.worker import Worker

_PLACE = re.compile(r"/app(?:[/?][\x21-\x5b\x5d-\x7e]*)?")
"""Where somebody may be led after signing in: a path of the pages; no backslashes, which browsers take for slashes."""

_YEAR_S = 365 * 86_400


def routes(worker: Worker, site: Site) -> list[Route]:
    """Return the routes of signing in, signing out and choosing a language."""
    pages = _SignIn(worker, site)
    return [
        Route(
            "/app/sign-in",
            {
                "GET": Endpoint(pages.show, roles=None),
                "POST": Endpoint(pages.sign_in, roles=None),
            },
        ),
        Route("/app/sign-out", {"POST": Endpoint(pages.sign_out, roles=None)}),
        Route("/app/language", {"POST": Endpoint(pages.speak, roles=None)}),
    ]


class _SignIn:
    def __init__(self, worker: Worker, site: Site) -> None:
        self._worker = worker
        self._site = site
        self._refusals = Throttle(1)

    async def show(self, incoming: Incoming) -> Reply:
        """Ask for a key."""
        places = parse_qs(incoming.scope.get("query_string", b"").decode("latin-1")).get("next", [""])
        return await self._form(incoming, places[-1])

    async def sign_in(self, incoming: Incoming) -> Reply:
        """Begin a session for the holder of the key in the form."""
        fields = await _read_form(incoming)
        place, secret = fields.get("next", ""), fields.get("key", "").strip()
        try:
            caller = await self._worker.callers.holder(secret, incoming)
        except UnauthenticatedError:
            await self._note_refusal(incoming)
            return await self._form(incoming, place, 401, wrong=bool(secret), missing=not secret)
        except OverloadedError as error:
            reply = await self._form(incoming, place, 429, wait_s=error.retry_after_s)
            reply.headers.append((b"retry-after", str(error.retry_after_s).encode()))
            return reply
        hours = self._worker.settings.session_hours
        begun = await asyncio.to_thread(start_session, self._worker.store, caller, hash_secret(secret), hours)
        session, cookie = begun
        self._worker.callers.sessions.add(session)
        name = session_cookie(incoming.headers)
        return redirect(_safe_place(place), [set_cookie(incoming.headers, name, cookie, round(hours * 3600))])

    async def sign_out(self, incoming: Incoming) -> Reply:
        """End the session, here and wherever else its cookie may be."""
        await _read_form(incoming)
        known = await self._worker.callers.signed_in(incoming)
        if known is not None and incoming.session is not None:
            await asyncio.to_thread(end_session, self._worker.store, known, incoming.session)
            self._worker.callers.sessions.forget(incoming.session)
        gone = set_cookie(incoming.headers, session_cookie(incoming.headers), "", 0)
        return redirect("/app/sign-in", [gone])

    async def speak(self, incoming: Incoming) -> Reply:
        """Remember the language that somebody chose, and show the page again."""
        fields = await _read_form(incoming)
        language = fields.get("language", "")
        if language not in LANGUAGES:
            raise InvalidError(
                [Fault(("language",), f"got {language[:20]!r}; expected one of: {', '.join(LANGUAGES)}")]
            )
        chosen = set_cookie(incoming.headers, LANGUAGE, language, _YEAR_S)
        return redirect(_safe_place(fields.get("next", "")), [chosen])

    async def _note_refusal(self, incoming: Incoming) -> None:
        """Write down whose expired or revoked key was tried; once a minute, so that trying costs no disk."""
        caller = incoming.caller
        if caller is NOBODY or not self._refusals.take(caller.key_id or ""):
            return
        incoming.caller = NOBODY
        with suppress(UnavailableError):
            await asyncio.to_thread(note_refusal, self._worker.store, caller, "POST", "/app/sign-in", 401)

    async def _form(self, incoming: Incoming, place: str, status: int = 200, **about: object) -> Reply:
        said = {"wrong": False, "missing": False, "wait_s": 0, **about}
        host = incoming.headers.get(b"host", b"").decode("latin-1")
        local = is_loopback_host(host)
        return await self._site.page(
            incoming, "sign_in.html.j2", status=status, next=_safe_place(place), local=local, **said
        )


def _safe_place(place: str) -> str:
    """Return `place` if it is a path of the pages, else the first page."""
    return place if _PLACE.fullmatch(place) and "//" not in place else "/app"


async def _read_form(incoming: Incoming) -> dict[str, str]:
    """Return the fields of a form of ours.

    Raises:
        ForbiddenError: another site's page sent it.
        MalformedError: it is no form, or one with too much in it.
    """
    origin = incoming.headers.get(b"origin")
    host = incoming.headers.get(b"host", b"").decode("latin-1")
    if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
        raise ForbiddenError(f"this form came from {origin.decode('latin-1')[:100]!r}, not from {host}")
    if incoming.headers.get(b"sec-fetch-site", b"same-origin") not in {b"same-origin", b"none"}:
        raise ForbiddenError("this form came from another site")
    body = await incoming.body()
    try:
        return dict(parse_qsl(body[:20_000].decode("utf-8", "replace"), max_num_fields=20))
    except ValueError as error:
        raise MalformedError(f"the form cannot be read: {error}") from error
